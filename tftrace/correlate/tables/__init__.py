"""What correlation fills: columns of the tables of a trace, in memory and on disk, and attributes of their events."""
