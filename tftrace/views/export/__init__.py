"""A trace in other tools' formats. A new format is a new module here and one line in `FORMATS`."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, cast

if TYPE_CHECKING:
    from tftrace.model.trace import Trace

FORMATS: Final[dict[str, str]] = {
    "perfetto": "tftrace.views.export.perfetto",
    "chrome": "tftrace.views.export.chrome",
    "speedscope": "tftrace.views.export.speedscope",
    "parquet": "tftrace.views.export.parquet",
}
"""Name of a format -> the module that writes it."""


class Format(Protocol):
    """What a module of `FORMATS` has."""

    SUFFIX: str

    def write(self, trace: Trace, path: Path) -> None:
        """Writes the whole file or none. Raises InputError where the trace has nothing to export, UsageError where
        `path` cannot be written."""


def export(trace: Trace, name: str, output: Path | None) -> Path:
    """Writes `trace` in the format `name` to `output`, by default into the trace's own directory; returns where."""
    form = cast(Format, import_module(FORMATS[name]))
    if output is None:
        from tftrace.store.directory import EXPORTED

        assert trace.path is not None
        output = trace.path / (EXPORTED + form.SUFFIX)
    form.write(trace, output)
    return output
