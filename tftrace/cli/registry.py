"""The commands, in the order in which they are shown. A new command is a new file and one line here."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

import click

COMMANDS: Final[dict[str, str]] = {
    "run": "tftrace.cli.run",
    "summary": "tftrace.cli.summary",
    "why": "tftrace.cli.why",
    "view": "tftrace.cli.view",
    "algorithms": "tftrace.cli.algorithms",
    "compare": "tftrace.cli.compare",
    "tune": "tftrace.cli.tune",
    "predict": "tftrace.cli.predict",
    "wrappers": "tftrace.cli.wrappers",
    "import": "tftrace.cli.import_files",
    "export": "tftrace.cli.export",
    "query": "tftrace.cli.query",
    "list": "tftrace.cli.list",
    "doctor": "tftrace.cli.doctor",
}
"""Command name -> module, whose `command` is a click command. Modules import what is heavy inside the
function."""


class PipeClosedError(Exception):
    """The reader of stdout has gone. Not an OSError: click ends on that one with exit code 1, before we hear of it."""


class Commands(click.Group):
    """A group that imports a command's module when the command is asked for."""

    def make_context(self, *arguments: Any, **keywords: Any) -> click.Context:
        try:
            return super().make_context(*arguments, **keywords)  # prints the help
        except BrokenPipeError as error:
            raise PipeClosedError from error

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise PipeClosedError from error

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        command = import_module(module).command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            close = get_close_matches(args[0], COMMANDS, 1)
            hint = f"Did you mean '{close[0]}'?" if close else f"There are {', '.join(COMMANDS)}."
            ctx.fail(f"No such command {args[0]!r}. {hint}")
        return super().resolve_command(ctx, args)
