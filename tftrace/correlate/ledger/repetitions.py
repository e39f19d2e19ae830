"""What repeated measurements say: their median, and an interval around it that assumes no distribution."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

KEPT: Final = 256
_OUTSIDE: Final = 0.05


def timing(samples: Iterable[float]) -> dict[str, Any]:
    """Columns time_us, low_us, high_us and samples_us of repetitions in us, in their order.

    `time_us` is the median; the interval holds the median of what was sampled from with at least 95 % and is null
    below six repetitions, which cannot give that. Of more than `KEPT` repetitions that many are kept, evenly spaced.
    Values that are no time (NaN, infinite, negative) are left out; without any other, all columns are null.
    """
    known = np.fromiter(samples, np.float64)
    known = known[np.isfinite(known) & (known >= 0)]
    if not len(known):
        return {"time_us": None, "low_us": None, "high_us": None, "samples_us": None}
    low, high = interval(known)
    at = np.unique(np.linspace(0, len(known) - 1, min(len(known), KEPT)).round().astype(np.int64))
    return {
        "time_us": float(np.median(known)), "low_us": low, "high_us": high, "samples_us": known[at].tolist(),
    }  # fmt: skip


def interval(samples: Sequence[float] | npt.NDArray[np.float64]) -> tuple[float | None, float | None]:
    """The order statistics between which the median lies with at least 95 %; (None, None) below six samples."""
    n = len(samples)
    k = np.arange(max((n + 1) // 2, 1))
    # of n fair coins, the logarithm of the probability of k heads
    heads = np.concatenate(([0.0], np.cumsum(np.log((n - k[:-1]) / (k[:-1] + 1))))) - n * math.log(2)
    rank = int(np.sum(2 * np.cumsum(np.exp(heads)) <= _OUTSIDE))  # how many may be cut off at each end
    if rank == 0:
        return None, None
    ordered = np.sort(np.asarray(samples, np.float64))
    return float(ordered[rank - 1]), float(ordered[n - rank])
