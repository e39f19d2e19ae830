"""Documents of times: of one run, and of what changed from one run to another."""

from __future__ import annotations

from typing import Any, Final

from tftrace.analysis.comparison.intervals import NO_TIMES, Interval, change, median
from tftrace.analysis.comparison.samples import Samples

FIRST_CALL: Final = "first call only"
NOT_ALIKE: Final = "times of different things"
WARM_UP: Final = "warm-up in one run, steady state in the other"

_NOTHING: Final = Interval(None, None, None, None, None)


def of_run(samples: Samples) -> dict[str, Any]:
    """The time of one steady execution with its interval, warm-up apart. Without a steady one, the time is that of
    warm-up, and `note` says so."""
    time = median(samples.compared)
    warm, steady = samples.warm_up, len(samples.steady)
    return {
        "time_us": rounded(time.value),
        "low_us": rounded(time.low),
        "high_us": rounded(time.high),
        "time_of": samples.of,
        "repetitions": steady or len(warm),
        "note": time.reason if steady or not len(warm) else FIRST_CALL,
        "warm_up_us": rounded(float(warm.sum())) if len(warm) else None,
        "warm_up_calls": len(warm),
    }


def between(before: Samples, after: Samples) -> dict[str, Any]:
    """The difference from `before` to `after`, a positive one being slower, and the ratio of the times.

    `time` is slower, faster or within_noise, null where that cannot be told, and `note` says why. Warm-up is never
    judged, and never compared with steady state.
    """
    found = change(before.compared, after.compared)
    difference, ratio, note = found.difference, found.ratio, found.difference.reason
    cold = [not len(s.steady) for s in (before, after)]
    if note == NO_TIMES:
        pass
    elif before.of != after.of:
        difference, ratio, note = _NOTHING, _NOTHING, f"{NOT_ALIKE}: {before.of} and {after.of}"
    elif any(cold):
        alike = all(cold)
        difference, ratio = (
            Interval(i.value if alike else None, None, None, None, None) for i in (difference, ratio)
        )
        note = FIRST_CALL if alike else WARM_UP
    return {
        "time": None if difference.low is None else found.verdict,
        "difference_us": rounded(difference.value),
        "difference_low_us": rounded(difference.low),
        "difference_high_us": rounded(difference.high),
        "ratio": rounded(ratio.value, 4),
        "ratio_low": rounded(ratio.low, 4),
        "ratio_high": rounded(ratio.high, 4),
        "method": difference.method,
        "note": note,
    }


def cost(change: dict[str, Any], calls: int | None, steps: int | None) -> dict[str, float | None]:
    """What a change of one call comes to over all calls of the run, and of a step; null where it is not known, and
    for first calls, of which there are no more."""
    difference = change["difference_us"]
    if difference is None or calls is None or change["note"] == FIRST_CALL:
        return {"per_step_us": None, "in_all_us": None}
    total = difference * calls
    return {"per_step_us": rounded(total / steps) if steps else None, "in_all_us": rounded(total)}


def rounded(value: float | None, digits: int = 3) -> float | None:
    return None if value is None else round(value, digits)
