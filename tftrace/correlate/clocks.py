"""From a process's raw clock, and from the wall clock its libraries read, to one time line of epoch nanoseconds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tftrace.ingest.agent_raw import Records

Int = npt.NDArray[np.int64]


class Clock:
    """The time line is CLOCK_MONOTONIC moved by the offset to the wall clock at the first sample: a later step of the
    wall clock moves nothing. Between samples the raw clock is interpolated."""

    def __init__(self, samples: Records) -> None:
        if len(samples) == 0:
            raise ValueError("no clock samples")
        self._raw = samples["raw"].astype(np.int64)
        self._monotonic = samples["monotonic"].astype(np.int64)
        self._wall = samples["realtime"].astype(np.int64) - self._monotonic
        self.offset = int(self._wall[0])

    def from_raw(self, raw: Int) -> Int:
        """Epoch ns of raw times; exact at the samples, linear between, the last slope kept outside."""
        raw = np.asarray(raw, np.int64)
        if len(self._raw) == 1:
            return np.asarray(raw - self._raw[0] + self._monotonic[0] + self.offset, np.int64)
        at = np.clip(np.searchsorted(self._raw, raw, "right") - 1, 0, len(self._raw) - 2)
        span = self._raw[at + 1] - self._raw[at]
        rate = (self._monotonic[at + 1] - self._monotonic[at] - span) / np.maximum(span, 1)
        delta = raw - self._raw[at]
        # the rate differs from 1 by parts per million: float is exact enough for that part
        corrected = delta + np.rint(delta * rate).astype(np.int64)
        return np.asarray(self._monotonic[at] + corrected + self.offset, np.int64)

    def from_wall(self, wall: Int, around_raw: int) -> Int:
        """Epoch ns of wall-clock times read near the raw time `around_raw`: undoes steps of the wall clock since."""
        at = int(np.clip(np.searchsorted(self._raw, around_raw, "right") - 1, 0, len(self._raw) - 1))
        return np.asarray(wall - (int(self._wall[at]) - self.offset), np.int64)

    @property
    def steps(self) -> int:
        """How often the wall clock was set (by more than a millisecond) while the process ran."""
        return int((np.abs(np.diff(self._wall)) > 1_000_000).sum())
