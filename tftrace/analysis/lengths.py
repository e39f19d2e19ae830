"""Lengths in ns, in half the memory: nearly all of them fit into 32 bits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Lengths:
    """A length for each row: `short`, but for the rows `at`, rising, which have those in `long`."""

    short: npt.NDArray[np.int32] | Ints
    at: Ints
    long: Ints

    @classmethod
    def of(cls, values: Ints) -> Lengths:
        none = np.zeros(0, np.int64)
        return cls(values, none, none)

    def part(self, first: int, count: int) -> Ints:
        """Those of `count` rows from `first` on."""
        found = self.short[first : first + count].astype(np.int64)
        begin, end = np.searchsorted(self.at, [first, first + count])
        found[self.at[begin:end] - first] = self.long[begin:end]
        return found

    def __len__(self) -> int:
        return len(self.short)
