"""Records of files made without tftrace, turned into the tables of a trace: one module a format."""
