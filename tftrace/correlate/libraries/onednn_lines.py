"""The lines of oneDNN of one process: those that were written whole, and those of which only the time was kept.

verbose.bin                                   onednn.bin
line  itt  text                               line  itt  ms
1     1    ..,exec,cpu,convolution,..,0.02    1     4    0.03  ->  the same line, with another time
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tftrace.correlate.tables.columns import Int
from tftrace.ingest.agent_raw import PIECE, RawProcess, Records


@dataclass(frozen=True)
class Lines:
    """Executions of primitives, in the order in which they ended. `itt`: the ITT record that each was printed under, or
    NONE; `head`: which of the process' texts (`OnednnLines.heads`)."""

    tid: Int
    raw_end: Int
    itt: Int
    ms: np.ndarray
    head: Int
    other: int  # lines that tell of no primitive, or of one whose text is missing (the disk was full)

    def __len__(self) -> int:
        return len(self.ms)


class OnednnLines:
    """All lines of a process; `version` is that of the header, where one was written."""

    def __init__(self, raw: RawProcess) -> None:
        self._raw = raw
        self._whole = raw.verbose()
        self._repeated = raw.onednn
        self.heads: list[str] = self._whole.forms
        self.version = self._whole.version
        self.other = self._whole.other

    @property
    def whole(self) -> int:
        """How many were written whole."""
        return len(self._whole)

    @property
    def repeated(self) -> int:
        """How many others there may be."""
        return len(self._repeated)

    def whole_pieces(self) -> Iterator[tuple[int, Int, np.ndarray, Int]]:
        """(number of the first, raw end, ms, ITT record or NONE) of the lines that were written whole."""
        for at in range(0, len(self._whole), PIECE):
            rows = slice(at, at + PIECE)
            yield at, self._whole.t[rows], self._whole.ms[rows], self._whole.itt[rows] - 1

    def repeated_pieces(self) -> Iterator[tuple[int, Int, np.ndarray, Int]]:
        """The same of the others; an end of 0 was never written."""
        for at, some in self._raw.pieces(self._repeated):
            yield at, some["t"], some["ms"], some["itt"].astype(np.int64) - 1

    def part(self, whole: slice, repeated: slice, itt: int) -> Lines:
        """Some of both; ITT records are counted from `itt` on. Lines of no primitive are counted by `other`."""
        told = self._whole
        records = self._repeated[repeated]
        at, used = self._texts(records)
        records = records[used]
        end = np.concatenate((told.t[whole], records["t"]))
        order = np.argsort(end, kind="stable")
        under = np.concatenate((told.itt[whole], records["itt"].astype(np.int64))) - 1
        return Lines(
            tid=np.concatenate((told.tid[whole], records["tid"].astype(np.int64)))[order],
            raw_end=end[order],
            itt=np.where(under >= 0, under - itt, -1)[order],
            ms=np.concatenate((told.ms[whole], records["ms"]))[order],
            head=np.concatenate((told.form[whole].astype(np.int64), told.form[at].astype(np.int64)))[order],
            other=int((~used & (self._repeated[repeated]["t"] > 0)).sum()),
        )

    def _texts(self, records: Records) -> tuple[Int, np.ndarray]:
        """The lines that the used ones among `records` repeat, and which these are."""
        blocks = self._whole.block
        at = np.searchsorted(blocks, records["line"])
        used = (records["t"] > 0) & (at < len(blocks))
        used[used] = blocks[at[used]] == records["line"][used]
        return at[used], used
