"""oneDNN's verbose log: `parse_line` reads a line (grammar in `onednn_line`), `problem_of` says what it
computed."""

from tftrace.ingest.onednn_line import MemoryDescriptor, VerboseLine, parse_line
from tftrace.ingest.onednn_problem import problem_of

__all__ = ["MemoryDescriptor", "VerboseLine", "parse_line", "problem_of"]
