"""The command line: finds the command, and is the one place where errors become lines and exit codes."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from tftrace import __version__
from tftrace.cli.registry import Commands, PipeClosedError
from tftrace.errors import TftraceError

INTERRUPTED = 130  # 128 + SIGINT, as shells have it
PIPE_CLOSED = 141  # 128 + SIGPIPE


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with:  tftrace run SCRIPT.py   and then   tftrace why conv2d",
)
@click.version_option(__version__, message="tftrace %(version)s")
def cli() -> None:
    """Shows where TensorFlow ops are really executed: from the Python line through runtime and kernel down to
    the library call and its algorithm, with times and the evidence for every step."""


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Runs one command and ends the process with its exit code.

    A TftraceError is one line on stderr. Anything else that escapes is a fault of tftrace and keeps its
    traceback.
    """
    _write_whole()
    try:
        code = cli.main(args=argv, prog_name="tftrace", standalone_mode=False)
        sys.stdout.flush()
    except TftraceError as error:
        say(str(error))
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    except (BrokenPipeError, PipeClosedError):
        # the reader (`| head`) has what it wanted; the interpreter's own flush at exit must not complain
        # either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(PIPE_CLOSED)
    except UnicodeDecodeError as error:
        say(f"the trace holds text that is not UTF-8 ({error.reason}); record the run again")
        sys.exit(3)
    sys.exit(code if isinstance(code, int) else 0)


def _write_whole() -> None:
    """Under `python -u` stdout has no buffer, and Python takes what a pipe accepted for all there was: a reader that
    leaves in the middle of a long text would go unnoticed. A buffered writer goes on until it is told."""
    stdout = sys.stdout
    raw = getattr(stdout, "buffer", None)
    if isinstance(raw, io.RawIOBase):
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(raw), encoding=stdout.encoding, errors=stdout.errors, line_buffering=True
        )


def say(message: str) -> None:
    """One line on stderr, whatever the message holds: control characters in a path must not reach the
    terminal."""
    line = "".join(c if c.isprintable() else " " for c in message)
    click.echo(f"tftrace: {' '.join(line.split())}", err=True)
