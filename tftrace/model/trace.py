"""`Trace`: what a recorded run holds. Frozen, and without any I/O of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


@dataclass(frozen=True)
class Trace:
    """One recorded run.

    `tables` maps the names of `tftrace.model.schemas.TABLES` to Arrow tables; the store fills it lazily, so a
    table that nobody asks for is never read. `path` is the trace directory the tables came from, None for a
    trace made in memory.
    """

    manifest: Mapping[str, Any]
    tables: Mapping[str, pa.Table]
    path: Path | None = None

    @property
    def name(self) -> str:
        """Name of the trace directory, or "(memory)"."""
        return self.path.name if self.path else "(memory)"

    @property
    def synthetic(self) -> bool:
        """Whether the run used a stand-in device, whose times and values prove nothing."""
        return bool(self.manifest.get("synthetic", False))

    def frame(self, table: str, columns: list[str] | None = None) -> pd.DataFrame:
        """The table as a pandas DataFrame; Arrow-backed dictionary columns become categoricals."""
        data = self.tables[table]
        frame: pd.DataFrame = (data.select(columns) if columns else data).to_pandas()
        return frame

    @property
    def events(self) -> pd.DataFrame:
        """One row per event of any layer (`tftrace.model.schemas.EVENTS`)."""
        return self.frame("events")

    @property
    def links(self) -> pd.DataFrame:
        """One row per parent-child relation of events, with its rule and evidence (`LINKS`)."""
        return self.frame("links")

    @property
    def sites(self) -> pd.DataFrame:
        """One row per place that makes an op: a line in eager mode, a node in a graph (`SITES`)."""
        return self.frame("sites")

    @property
    def calls(self) -> pd.DataFrame:
        """One row per execution of a site (`CALLS`)."""
        return self.frame("calls")

    @property
    def algorithms(self) -> pd.DataFrame:
        """One row per candidate algorithm of a problem (`ALGORITHMS`)."""
        return self.frame("algorithms")
