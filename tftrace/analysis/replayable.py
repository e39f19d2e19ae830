"""The convolutions of a trace that can be replayed, and why the rest of its problems cannot."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from tftrace.analysis import algorithms
from tftrace.analysis.columns import table
from tftrace.model.conv2d_spec import Conv2dSpec, SpecError, from_problem
from tftrace.model.trace import Trace

_FORWARD: Final = "Conv2D"


@dataclass(frozen=True)
class Wanted:
    """One convolution: how often the trace ran it and what that cost, where it tells."""

    spec: Conv2dSpec
    calls: int | None = None
    cost_us: float | None = None


def convolutions(trace: Trace) -> tuple[list[Wanted], list[dict[str, Any]]]:
    """(convolutions, the costliest first; problems that are not replayed as {"problem", "reason"}).

    They come from the ledger. Where no library reported a convolution (Eigen's do not), the forward ones come from the
    op calls themselves, which tell no sizes of gradients.
    """
    found: dict[str, Wanted] = {}
    left_out = []
    for row in algorithms.document(trace)["problems"]:
        try:
            spec = from_problem(row["problem"])
        except SpecError as error:
            left_out.append({"problem": row["problem"], "reason": str(error)})
            continue
        times = [c["time_us"] for c in row["candidates"] if c["chosen"] and c["time_us"] is not None]
        # a tuning counts no executions of its own: those of the trace that it tuned stand with its candidates
        calls = row["calls"] if row["calls"] is not None else row["candidates"][0].get("traced_calls")
        cost = times[0] * calls if times and calls is not None else None
        _add(found, Wanted(spec, calls, cost))
    if not found:
        for spec, calls, total in _of_calls(trace):
            _add(found, Wanted(spec, calls, total))
    return sorted(found.values(), key=lambda w: -(w.cost_us or 0.0)), left_out


def _add(found: dict[str, Wanted], wanted: Wanted) -> None:
    """Two problems that are one to TensorFlow's op (of two libraries, say) are replayed once."""
    key = str(wanted.spec)
    known = found.get(key)
    if known is not None:
        wanted = Wanted(wanted.spec, _sum(known.calls, wanted.calls), _sum(known.cost_us, wanted.cost_us))
    found[key] = wanted


def _sum(one: Any, other: Any) -> Any:
    return other if one is None else one if other is None else one + other


def _of_calls(trace: Trace) -> list[tuple[Conv2dSpec, int, float]]:
    sites = table(trace, "sites").select(["site_id", "op"]).to_pylist()
    wanted = {site["site_id"] for site in sites if site["op"] == _FORWARD}
    counts: Counter[tuple[str, str, str]] = Counter()
    spent: Counter[tuple[str, str, str]] = Counter()
    calls = table(trace, "calls").select(["site_id", "shapes", "dtypes", "op_attrs", "total_ns"])
    for call in calls.to_pylist():
        if call["site_id"] in wanted and None not in (call["shapes"], call["dtypes"], call["op_attrs"]):
            key = (call["shapes"], call["dtypes"], call["op_attrs"])
            counts[key] += 1
            spent[key] += call["total_ns"] or 0
    found = []
    for (shapes, dtypes, attributes), count in counts.items():
        try:
            spec = _from_op(json.loads(shapes), json.loads(dtypes), json.loads(attributes))
        except (SpecError, ValueError, TypeError, IndexError, KeyError):
            continue
        found.append((spec, count, spent[shapes, dtypes, attributes] / 1000))
    return found


def _from_op(shapes: Any, dtypes: Any, attributes: Any) -> Conv2dSpec:
    padding = attributes["padding"]
    explicit = attributes.get("explicit_paddings") or []
    return from_problem(
        {
            "op": _FORWARD, "direction": "forward", "input": shapes[0], "filter": shapes[1],
            "strides": attributes["strides"], "dilations": attributes.get("dilations"),
            "padding": [explicit[i : i + 2] for i in range(0, 8, 2)] if padding == "EXPLICIT" else padding,
            "layout": attributes.get("data_format", "NHWC"), "dtype": dtypes[0], "fused": [],
        }
    )  # fmt: skip
