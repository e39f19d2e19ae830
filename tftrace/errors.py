"""The one family of errors that tftrace raises on purpose. Each knows its exit code; `cli` prints it in one line."""

from __future__ import annotations


class TftraceError(Exception):
    """Something the user can act on: what happened, where, and what to do, in one line.

    Anything else that escapes from tftrace is a fault of tftrace and keeps its traceback.
    """

    exit_code = 3


class UsageError(TftraceError):
    """The command cannot be carried out as it was given (exit code 2)."""

    exit_code = 2


class InputError(TftraceError):
    """A file or directory that was given cannot be read as what it should be (exit code 3)."""

    exit_code = 3


class GateError(TftraceError):
    """A gate such as `--fail-on` did not hold (exit code 1)."""

    exit_code = 1


class CaptureError(TftraceError):
    """tftrace itself failed before the user's script began (exit code 125)."""

    exit_code = 125
