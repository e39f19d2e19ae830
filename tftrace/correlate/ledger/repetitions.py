"""What repeated measurements say: their median, and an interval around it that assumes no distribution."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

KEPT: Final = 256
_OUTSIDE: Final = 0.05
_AT_ONCE: Final = 1 << 20
_BITS: Final = 21  # of 63, looked at at once


def timing(samples: Iterable[float]) -> dict[str, Any]:
    """Columns time_us, low_us, high_us and samples_us of repetitions in us, in their order.

    `time_us` is the median; the interval holds the median of what was sampled from with at least 95 % and is null
    below six repetitions, which cannot give that. Of more than `KEPT` repetitions that many are kept, evenly spaced.
    Values that are no time (NaN, infinite, negative) are left out; without any other, all columns are null.
    """
    known = samples if isinstance(samples, np.ndarray) else np.fromiter(samples, np.float64)
    good = np.isfinite(known) & (known >= 0)
    known = known if good.all() else known[good]
    if not len(known):
        return {"time_us": None, "low_us": None, "high_us": None, "samples_us": None}
    n = len(known)
    middle, cut = [(n - 1) // 2, n // 2], _cut_off(n)
    ends = [cut - 1, n - cut] if cut else []
    *found, below, above = ordered(known, [*ends, *middle])
    low, high = found or (None, None)
    at = np.unique(np.linspace(0, n - 1, min(n, KEPT)).round().astype(np.int64))
    return {
        "time_us": (below + above) / 2, "low_us": low, "high_us": high, "samples_us": known[at].tolist(),
    }  # fmt: skip


def interval(samples: Sequence[float] | npt.NDArray[np.float64]) -> tuple[float | None, float | None]:
    """The order statistics between which the median lies with at least 95 %; (None, None) below six samples."""
    n, cut = len(samples), _cut_off(len(samples))
    if not cut:
        return None, None
    values = np.sort(np.asarray(samples, np.float64))
    return float(values[cut - 1]), float(values[n - cut])


def total(samples: npt.NDArray[np.float64]) -> float:
    """The sum, so many at a time."""
    return sum(float(samples[at : at + _AT_ONCE].sum()) for at in range(0, len(samples), _AT_ONCE))


def _cut_off(n: int) -> int:
    """How many of `n` samples may be cut off at each end."""
    # of n fair coins, the logarithm of the probability of k heads; far from the middle it is nothing
    first = max(n // 2 - 20 * math.isqrt(n) - 1, 0)
    k = np.arange(first, max((n + 1) // 2, first + 1))
    begin = math.lgamma(n + 1) - math.lgamma(first + 1) - math.lgamma(n - first + 1)
    heads = begin + np.concatenate(([0.0], np.cumsum(np.log((n - k[:-1]) / (k[:-1] + 1))))) - n * math.log(2)
    few = int(np.sum(2 * np.cumsum(np.exp(heads)) <= _OUTSIDE))
    return first + few if few else 0


def ordered(values: npt.NDArray[np.float64], ranks: Sequence[int]) -> list[float]:
    """The order statistics of these ranks, from 0 on, of values that are not negative. Of many values no copy is made:
    the bits of such numbers have their order, and are counted from the first ones on."""
    if len(values) <= _AT_ONCE:
        least_first = np.sort(values)
        return [float(least_first[rank]) for rank in ranks]
    found: dict[int, float] = {}
    for rank in sorted(set(ranks)):
        prefix, left = 0, rank
        for shift in range(63 - _BITS, -1, -_BITS):
            counts = np.zeros(1 << _BITS, np.int64)
            for at in range(0, len(values), _AT_ONCE):
                some = (values[at : at + _AT_ONCE] + 0.0).view(np.int64)  # -0.0 is 0.0 then
                some = some[some >> shift >> _BITS == prefix]
                counts += np.bincount(some >> shift & (1 << _BITS) - 1, minlength=1 << _BITS)
            below = np.cumsum(counts)
            digit = int(np.searchsorted(below, left, "right"))
            left -= int(below[digit - 1]) if digit else 0
            prefix = prefix << _BITS | digit
        found[rank] = float(np.int64(prefix).view(np.float64))
    return [found[rank] for rank in ranks]
