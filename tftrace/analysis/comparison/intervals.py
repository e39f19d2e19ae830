"""How far two sets of times lie apart, and how sure that is.

The times of calls are skewed and have outliers, so the comparison goes by ranks: the difference is the median of all
differences between a time of the one run and one of the other (Hodges and Lehmann), and its interval holds the
shifts that a Mann-Whitney test would not reject. It needs no seed and assumes no distribution.

Ranks alone cannot reach the level with few repetitions (3 and 8, or 4 and 5, are too few). There, Welch's t on the
logarithms of the times is used, which takes them to be log-normal; with two repetitions its intervals are very wide, as
they should be; where one would span a factor of a million there is none. With one repetition there is no interval.

The level is 99 %, because a run has tens of problems: at 95 %, one in twenty would be called slower by chance.

Repetitions within a run are taken to be independent. What differs from run to run (the clock of the processor, where
memory lies, other load) does not show in them, and no interval from two runs covers it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

LEVEL: Final = 0.99
MOST: Final = 300
"""Times of one side that are compared. More are thinned at random by a fixed seed: one trace gives one answer."""

BY_RANKS: Final = "Hodges-Lehmann, Mann-Whitney"
BY_LOGARITHMS: Final = "Welch's t on logarithms"
ONE_REPETITION: Final = "one repetition: no interval"
FAR_APART: Final = "few repetitions, far apart: no interval"
NO_TIMES: Final = "no times"

_Z: Final = 2.5758293035489004  # standard normal, 99.5 %
# Student's t, 99.5 %, by degrees of freedom from 1
_T: Final = (
    63.657, 9.925, 5.841, 4.604, 4.032, 3.707, 3.499, 3.355, 3.250, 3.169, 3.106, 3.055, 3.012, 2.977, 2.947, 2.921,
    2.898, 2.878, 2.861, 2.845,
)  # fmt: skip
_WIDEST: Final = math.log(1000)
"""Half of an interval of logarithms that still says something."""
_MANY: Final = 1000
_EXACT: Final = 30  # above this many on each side, the normal approximation is good to a rank

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A value and the interval around it at `LEVEL`; both ends are None where there is none, and `reason` says why."""

    value: float | None
    low: float | None
    high: float | None
    method: str | None
    reason: str | None


@dataclass(frozen=True)
class Change:
    """From the one set of times to the other: as a difference, in their unit, and as a ratio (1.05 is 5 % slower).

    The ratio is None where a time is not above zero."""

    difference: Interval
    ratio: Interval

    @property
    def verdict(self) -> str | None:
        """slower, faster, within_noise, or None where there is no interval to tell by."""
        low, high = self.difference.low, self.difference.high
        if low is None or high is None:
            return None
        return "slower" if low > 0 else "faster" if high < 0 else "within_noise"


def clean(times: npt.ArrayLike) -> Floats:
    """The finite ones of these times, in their order."""
    values = np.asarray(times, np.float64).ravel()
    return values[np.isfinite(values)]


def median(times: npt.ArrayLike) -> Interval:
    """The median and its interval: by order statistics, or with fewer than eight times by t on logarithms."""
    values = clean(times)
    n = len(values)
    if not n:
        return Interval(None, None, None, None, NO_TIMES)
    if n == 1:
        return Interval(float(values[0]), None, None, None, ONE_REPETITION)
    rank = _binomial_rank(n)
    if rank:
        low, middle, high = _ordered(values, rank)
        return Interval(middle, low, high, "order statistics", None)
    middle = float(np.median(values))
    if values.min() <= 0:
        return Interval(middle, None, None, None, "few repetitions, and a time of zero: no interval")
    logs = np.log(values)
    half = _T[n - 2] * float(logs.std(ddof=1)) / math.sqrt(n)
    if half > _WIDEST:
        return Interval(middle, None, None, None, FAR_APART)
    return Interval(middle, middle * math.exp(-half), middle * math.exp(half), "t on logarithms", None)


def change(before: npt.ArrayLike, after: npt.ArrayLike) -> Change:
    """What changed from the times `before` to the times `after`."""
    a, b = _thinned(clean(before)), _thinned(clean(after))
    if not len(a) or not len(b):
        nothing = Interval(None, None, None, None, NO_TIMES)
        return Change(nothing, nothing)
    positive = bool(a.min() > 0 and b.min() > 0)
    if len(a) == 1 or len(b) == 1:
        difference = float(np.median(b) - np.median(a))
        ratio = float(np.median(b) / np.median(a)) if positive else None
        return Change(
            Interval(difference, None, None, None, ONE_REPETITION),
            Interval(ratio, None, None, None, ONE_REPETITION),
        )
    rank = _mann_whitney_rank(len(a), len(b))
    if rank:
        shift = _by_ranks(b[:, None] - a[None, :], rank)
        if not positive:
            return Change(shift, Interval(None, None, None, None, "a time of zero: no ratio"))
        factor = _by_ranks(b[:, None] / a[None, :], rank)
        return Change(shift, factor)
    if not positive:
        reason = "few repetitions, and a time of zero: no interval"
        difference = float(np.median(b) - np.median(a))
        return Change(
            Interval(difference, None, None, None, reason), Interval(None, None, None, None, reason)
        )
    return _welch(a, b)


def _by_ranks(pairs: Floats, rank: int) -> Interval:
    low, middle, high = _ordered(pairs.ravel(), rank)
    return Interval(middle, low, high, BY_RANKS, None)


def _ordered(values: Floats, rank: int) -> tuple[float, float, float]:
    """The `rank`-th smallest, the median, and the `rank`-th largest."""
    size = len(values)
    wanted = (rank - 1, (size - 1) // 2, size // 2, size - rank)
    found = np.partition(values, sorted(set(wanted)))
    low, below, above, high = (float(found[at]) for at in wanted)
    return low, (below + above) / 2, high


def _welch(a: Floats, b: Floats) -> Change:
    logs_a, logs_b = np.log(a), np.log(b)
    parts = [float(v.var(ddof=1)) / len(v) for v in (logs_a, logs_b)]
    error = math.sqrt(sum(parts))
    freedom = min(len(a), len(b)) - 1
    if error > 0:
        spread = sum(p * p / (len(v) - 1) for p, v in zip(parts, (a, b), strict=True))
        freedom = max(int(sum(parts) ** 2 / spread), freedom)  # rounded down: the wider interval
    middle = float(logs_b.mean() - logs_a.mean())
    half = _T[min(freedom, len(_T)) - 1] * error
    base, factor = math.exp(float(logs_a.mean())), math.exp(middle)
    if half > _WIDEST:
        ends = (None, None, None, FAR_APART)
        return Change(Interval(base * (factor - 1), *ends), Interval(factor, *ends))
    low, high = math.exp(middle - half), math.exp(middle + half)
    ratio = Interval(factor, low, high, BY_LOGARITHMS, None)
    shift = Interval(base * (factor - 1), base * (low - 1), base * (high - 1), BY_LOGARITHMS, None)
    return Change(shift, ratio)


def _thinned(values: Floats) -> Floats:
    if len(values) <= MOST:
        return values
    return np.random.default_rng(0).choice(values, MOST, replace=False)


@lru_cache(maxsize=4096)
def _binomial_rank(n: int) -> int:
    """The rank k for which the k-th smallest and k-th largest of n enclose the median at `LEVEL`; 0 where none does."""
    if n > _MANY:
        return int((n - _Z * math.sqrt(n)) / 2)
    tail, total, rank = 0.0, 0.0, 0
    log_half = -n * math.log(2)
    for k in range(n // 2):
        total += math.exp(math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) + log_half)
        if total > (1 - LEVEL) / 2:
            break
        tail, rank = total, k + 1
    assert tail <= (1 - LEVEL) / 2
    return rank


@lru_cache(maxsize=4096)
def _mann_whitney_rank(n: int, m: int) -> int:
    """The rank k at which k-th smallest and k-th largest difference enclose the shift at `LEVEL`; 0 if none does.

    It is the number of values that the statistic U takes with at most half of the allowed error in total.
    """
    if max(n, m) > _EXACT:
        if math.comb(n + m, min(n, m)) * (1 - LEVEL) < 2:
            return 0
        spread = math.sqrt(n * m * (n + m + 1) / 12)
        return max(int(n * m / 2 - _Z * spread), 1)
    counts = _arrangements(n, m)
    allowed = (1 - LEVEL) / 2 * math.comb(n + m, n)
    return int(np.searchsorted(np.cumsum(counts), allowed, side="right"))


def _arrangements(n: int, m: int) -> Floats:
    """In how many orders of n and m distinct times U is 0, 1, .. n*m: the Gaussian binomial's coefficients."""
    size = n * m + 1
    counts = np.zeros(size)
    counts[0] = 1
    for i in range(1, n + 1):
        # times (1 - q^(m+i)), then over (1 - q^i)
        shifted = np.zeros(size)
        if m + i < size:
            shifted[m + i :] = counts[: size - m - i]
        counts = counts - shifted
        for at in range(i, size):
            counts[at] += counts[at - i]
    return counts
