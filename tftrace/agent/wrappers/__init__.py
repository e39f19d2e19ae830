"""Calls public functions on generated arguments and records what they do: the worker of `tftrace wrappers`."""
