"""Reader of what a recorded replay wrote to stdout: oneDNN's lines, between marks of the replay's own.

    output := header line* ( mark("begin", key) line* [mark("steady", key) line*] [mark("end", key)] )*
    mark   := "tftrace_replay," word "," key

Of each replay the lines behind `steady` count: those of its second call, when primitives are made and cached. A replay
that was cut off has none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tftrace.agent.contract import REPLAY_MARKER
from tftrace.errors import InputError
from tftrace.ingest.onednn_line import parse_line


@dataclass
class ReplayOutput:
    """`lines`: key of a replay -> the lines of oneDNN's executions in one call, as they were printed."""

    version: str | None = None
    isa: str | None = None
    lines: dict[str, list[str]] = field(default_factory=dict)


def read(path: Path) -> ReplayOutput:
    """Reads one output. Raises InputError where it cannot be read."""
    try:
        text = path.read_text("utf-8", "replace")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; tune again") from error
    return parse(text)


def parse(text: str) -> ReplayOutput:
    found = ReplayOutput()
    current: list[str] | None = None
    for line in text.split("\n"):
        if line.startswith(REPLAY_MARKER + ","):
            _, _, rest = line.partition(",")
            word, _, key = rest.partition(",")
            current = found.lines.setdefault(key, []) if word == "steady" else None
            continue
        parsed = parse_line(line)
        if parsed is None:
            continue
        if parsed.kind == "info":
            found.version = found.version or (
                f"v{parsed.library_version}" if parsed.library_version else None
            )
            if (
                parsed.rest
                and parsed.rest[0] == "cpu"
                and parsed.rest[1:2]
                and parsed.rest[1].startswith("isa:")
            ):
                found.isa = ",".join(parsed.rest[1:])[len("isa:") :].strip()
        elif parsed.kind == "exec" and current is not None:
            current.append(line)
    return found
