"""The times of cuDNN's log as numbers, many at once."""

from __future__ import annotations

from datetime import date
from typing import Final

import numpy as np
import numpy.typing as npt

NONE: Final = -1
STAMP: Final = 26
"""Characters of a time."""

Codes = npt.NDArray[np.int64]


def epoch_ns(stamps: list[bytes]) -> Codes:
    """ns since the epoch of each `YYYY-mm-ddTHH:MM:SS.ffffff`, read as UTC; -1 where it is none."""
    out = np.full(len(stamps), NONE, np.int64)
    right = np.array([len(s) == STAMP for s in stamps], bool)
    text = np.frombuffer(b"".join(s for s in stamps if len(s) == STAMP), np.uint8).reshape(-1, STAMP)
    digits = [i for i in range(STAMP) if i not in (4, 7, 10, 13, 16, 19)]
    number = text.astype(np.int64) - ord("0")
    fits = ((number[:, digits] >= 0) & (number[:, digits] <= 9)).all(axis=1)

    def of(first: int, count: int) -> Codes:
        value = np.zeros(len(number), np.int64)
        for i in range(first, first + count):
            value = value * 10 + number[:, i]
        return value

    day_code = of(0, 4) * 10_000 + of(5, 2) * 100 + of(8, 2)
    days, which = np.unique(np.where(fits, day_code, 0), return_inverse=True)
    day = np.array([_days(int(code)) for code in days], np.int64)
    seconds = of(11, 2) * 3600 + of(14, 2) * 60 + of(17, 2)
    day_of = day[which] if len(which) else np.empty(0, np.int64)
    value = (day_of * 86_400 + seconds) * 1_000_000_000 + of(20, 6) * 1000
    out[right] = np.where(fits & (day_of != NONE), value, NONE)
    return out


def _days(code: int) -> int:
    """Days since 1970-01-01 of a date written YYYYmmdd; -1 for none (and for what lies before)."""
    try:
        found = date(code // 10_000, code // 100 % 100, code % 100).toordinal() - date(1970, 1, 1).toordinal()
    except ValueError:
        return NONE
    return max(found, NONE)
