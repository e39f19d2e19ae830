"""Made-up profiles, for what no recording at hand shows: planes of lines of events with their stats."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.ingest import wire_writer as write
from tftrace.ingest.hlo import PROGRAMS_PLANE
from tftrace.ingest.xplane.space import XSpace, read_xspace


@dataclass
class Plane:
    """`lines` maps the name of a line to its events: (name, start ns, duration ns, stats)."""

    name: str
    lines: dict[str, list[tuple[str, int, int, dict[str, Any]]]] = field(default_factory=dict)
    timestamp_ns: int = 0

    def message(self) -> bytes:
        names: dict[str, int] = {}
        stats: dict[str, int] = {}
        body = write.block(2, self.name)
        for number, (line_name, events) in enumerate(self.lines.items(), 1):
            line = write.number(1, number) + write.block(2, line_name) + write.number(3, self.timestamp_ns)
            for name, start, dur, values in events:
                event = write.number(1, names.setdefault(name, len(names) + 1))
                event += write.number(2, start * 1000) + write.number(3, dur * 1000)
                for key, value in values.items():
                    code = write.number(1, stats.setdefault(key, len(stats) + 1))
                    text = isinstance(value, str)
                    event += write.block(
                        4, code + (write.block(5, value) if text else write.number(4, value))
                    )
                line += write.block(4, event)
            body += write.block(3, line)
        for at, table in ((4, names), (5, stats)):
            for name, code in table.items():
                meta = write.number(1, code) + write.block(2, name)
                body += write.block(at, write.number(1, code) + write.block(2, meta))
        return body


@dataclass
class Programs:
    """The plane of programs that XLA compiled: {name of the module: (number, HloProto)}."""

    modules: dict[str, tuple[int, bytes]]

    def message(self) -> bytes:
        body = write.block(2, PROGRAMS_PLANE)
        for name, (number, proto) in self.modules.items():
            stat = write.number(1, 1) + write.block(6, proto)
            meta = write.number(1, number) + write.block(2, f"{name}({number})") + write.block(5, stat)
            body += write.block(4, write.number(1, number) + write.block(2, meta))
        title = write.number(1, 1) + write.block(2, "Hlo Proto")
        return body + write.block(5, write.number(1, 1) + write.block(2, title))


def space(directory: Path, *planes: Plane | Programs) -> XSpace:
    path = directory / "made.xplane.pb"
    path.write_bytes(b"".join(write.block(1, plane.message()) for plane in planes))
    return read_xspace(path)
