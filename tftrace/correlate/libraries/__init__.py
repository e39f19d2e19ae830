"""Calls into libraries: oneDNN primitives, cuDNN calls, and the native stacks that they were made from."""
