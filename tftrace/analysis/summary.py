"""Where the time went: by op, layer, line, kernel or step; and what was lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from tftrace.analysis.attribution import kernel_time
from tftrace.analysis.columns import Bools, Ints, Numbers, Texts, combined, numbers, positions, table, texts
from tftrace.analysis.graph_runs import by_graph, failures
from tftrace.analysis.layers import layers, steady_events
from tftrace.analysis.own_cost import own_cost
from tftrace.analysis.python_cost import python_cost
from tftrace.analysis.tracings import retraced
from tftrace.errors import UsageError
from tftrace.model.trace import Trace

_WHAT_IS_LOST: Final = {
    "dispatch": "op calls",
    "graph": "graph nodes",
    "tf_profiler": "op calls outside its windows",
    "nvtx": "ranges",
    "onednn": "lines of oneDNN",
    "itt": "library calls",
}


def by(trace: Trace, what: str, steady: bool = False) -> pd.DataFrame:
    """One row for each op, layer, line, kernel, step or graph, the costliest first (steps and layers in their order).

    `count` is executions, `total_us` their time on the thread that waits, `self_us` that less the calls within them.
    With `steady`, executions in warm-up are left out. Raises UsageError for another `what`.

    | what | columns beside count, total_us, self_us |
    |---|---|
    | op | op (TensorFlow's type name, or the function name of a graph), mean_us, cpu_us (worker threads), warm_up_count, warm_up_us, steady_us_per_call; device_us where a call ran on a device other than the CPU |
    | line | line (`file:line`, short), mean_us, ops (distinct), code, file, number |
    | kernel | kernel (`node:Kernel`), mean_us, max_us; self_us is without the library calls below. Where work of a device's streams was seen, layer tells OpKernels (kernel) from what the device ran (device) |
    | step | step (null: before the first), span_us from first start to last end; total_us is of the calls from Python |
    | layer | as `tftrace.analysis.layers.layers` |
    | graph | as `tftrace.analysis.graph_runs.by_graph` |
    """  # noqa: E501 - a table
    if what not in _BY:
        raise UsageError(f"no summary by {what!r}; there are {', '.join(_BY)}")
    return _BY[what](trace, steady)


def document(trace: Trace, by_what: str = "op", steady: bool = False) -> dict[str, Any]:
    """The document of `tftrace summary --json`: layers, rows, whose the kernel time is, lost, and what they are of."""
    of_layers = layers(trace, steady)
    return {
        "trace": trace.name,
        "by": by_what,
        "steady": steady,
        "synthetic": trace.synthetic,
        "layers": _records(of_layers),
        "rows": _records(of_layers if by_what == "layer" else by(trace, by_what, steady)),
        "kernel_time": kernel_time(trace),
        "python": python_cost(trace),
        "tftrace": own_cost(trace),
        "retraced": retraced(trace),
        "lost": _records(lost(trace)),
        "failures": failures(trace),
    }


def lost(trace: Trace) -> pd.DataFrame:
    """What the run did not keep, from the manifest: columns probe, what, count (null where nobody counted).

    An empty frame says that nothing is known to be lost.
    """
    rows: list[dict[str, Any]] = []
    for probe in trace.manifest.get("probes", []):
        name = str(probe.get("name"))
        if (probe.get("lost") or 0) > 0:
            rows.append({"probe": name, "what": _WHAT_IS_LOST.get(name, "events"), "count": probe["lost"]})
        elif probe.get("status") == "failed":
            rows.append({"probe": name, "what": f"all of it: {probe.get('reason')}", "count": None})
    for process in trace.manifest.get("processes", []):
        if not isinstance(process, dict):
            continue
        if process.get("missing"):
            rows.append(
                {"probe": f"process {process.get('name')}", "what": process["missing"], "count": None}
            )
        if process.get("cut_lines"):
            what = "records cut short at its end"
            rows.append(
                {"probe": f"process {process.get('name')}", "what": what, "count": process["cut_lines"]}
            )
    for problem in trace.manifest.get("problems", []):
        rows.append({"probe": "reading", "what": str(problem), "count": None})
    frame: pd.DataFrame = pd.DataFrame(rows, columns=["probe", "what", "count"])
    return frame


def _by_op(trace: Trace, steady: bool) -> pd.DataFrame:
    calls, kept = _calls(trace, steady)
    op = texts(table(trace, "sites"), "op")
    group = np.append(op.codes, -1)[_site(trace)]
    sums = _Sums(group, kept, len(op.values))
    total, own, cpu = (numbers(calls, f"{c}_ns") for c in ("total", "self", "cpu"))
    warm = numbers(calls, "warm_up").values == 1
    cold_count, cold_ns = sums.count(warm), sums.of(total, warm)
    frame = sums.frame("op", [*op.values, "(site not known)"])
    frame["total_us"], frame["self_us"] = sums.of(total) / 1000, sums.of(own, null=True) / 1000
    frame["mean_us"] = frame["total_us"] / frame["count"]
    frame["cpu_us"] = sums.of(cpu, null=True) / 1000
    if _elsewhere(calls).any():
        frame["device_us"] = sums.of(numbers(calls, "device_total_ns"), _elsewhere(calls), null=True) / 1000
    if not steady:
        frame["warm_up_count"], frame["warm_up_us"] = cold_count, cold_ns / 1000
    rest = frame["count"] - cold_count
    frame["steady_us_per_call"] = (frame["total_us"] - cold_ns / 1000) / rest.where(rest > 0)
    return _ranked(frame)


def _by_line(trace: Trace, steady: bool) -> pd.DataFrame:
    calls, kept = _calls(trace, steady)
    sites = table(trace, "sites")
    file, number = texts(sites, "python_file"), numbers(sites, "python_line")
    place, places = combined(file.codes, np.where(number.valid, number.values, -1))
    site = _site(trace)
    sums = _Sums(np.append(place, -1)[site], kept, places)
    first = np.zeros(places, np.int64)
    first[place[::-1]] = np.arange(len(place))[::-1]
    files = [file.of(row) for row in first.tolist()]
    lines = [int(number.values[row]) if number.valid[row] else None for row in first.tolist()]
    code = texts(sites, "python_code")
    short = [
        f"{f.rsplit('/', 1)[-1]}:{n}" if f else "(no line of yours)"
        for f, n in zip(files, lines, strict=True)
    ]
    frame = sums.frame("line", [*short, "(site not known)"])
    frame["total_us"] = sums.of(numbers(calls, "total_ns")) / 1000
    frame["self_us"] = sums.of(numbers(calls, "self_ns"), null=True) / 1000
    frame["mean_us"] = frame["total_us"] / frame["count"]
    op = np.append(texts(sites, "op").codes, -1)[site]
    pairs = np.unique(np.stack([sums.group[kept], op[kept]]), axis=1)[0]
    frame["ops"] = np.bincount(pairs, minlength=places + 1)[sums.present]
    frame["code"] = sums.pick([*(code.of(row) for row in first.tolist()), None])
    frame["file"] = sums.pick([*files, None])
    frame["number"] = pd.array(sums.pick([*lines, None]), dtype="Int64")
    return _ranked(frame)


def _by_kernel(trace: Trace, steady: bool) -> pd.DataFrame:
    events, links = table(trace, "events"), table(trace, "links")
    layer, name, dur = texts(events, "layer"), texts(events, "name"), numbers(events, "dur_ns")
    is_kernel, is_library = (
        layer.where(np.array([v == at for v in layer.values], bool)) for at in ("kernel", "library")
    )
    kept = is_kernel & steady_events(trace) if steady else is_kernel
    child, parent = (positions(events, "event_id", numbers(links, c)) for c in ("child_id", "parent_id"))
    under = (child >= 0) & (parent >= 0)
    child, parent = child[under], parent[under]
    under = is_library[child] & is_kernel[parent]
    pairs = np.unique(
        np.stack([parent[under], child[under]]), axis=1
    )  # two rules may join the same two events
    inner = np.bincount(pairs[0], weights=dur.values[pairs[1]], minlength=events.num_rows).astype(np.int64)
    own = Numbers(np.maximum(dur.values - inner[: events.num_rows], 0), dur.valid)
    frame = _kernels(name, kept, dur, own)
    on_stream = (
        layer.where(np.array([v == "device" for v in layer.values], bool)) & numbers(events, "stream").valid
    )
    if on_stream.any():
        ran = on_stream & steady_events(trace) if steady else on_stream
        device = _kernels(name, ran, dur, dur)
        frame = pd.concat([frame.assign(layer="kernel"), device.assign(layer="device")], ignore_index=True)
    return _ranked(frame)


def _kernels(name: Texts, kept: Bools, dur: Numbers, own: Numbers) -> pd.DataFrame:
    sums = _Sums(name.codes, kept, len(name.values))
    frame = sums.frame("kernel", [*name.values, "(no name)"])
    frame["total_us"], frame["self_us"] = sums.of(dur) / 1000, sums.of(own) / 1000
    frame["mean_us"] = frame["total_us"] / frame["count"]
    longest = np.zeros(len(name.values) + 1, np.int64)
    np.maximum.at(longest, sums.group[kept], dur.values[kept])
    frame["max_us"] = longest[sums.present] / 1000
    return frame


def _elsewhere(calls: Any) -> Bools:
    """Which calls ran on a device other than the CPU."""
    device = texts(calls, "device")
    return device.where(np.array(["CPU" not in v for v in device.values], bool))


def _by_step(trace: Trace, steady: bool) -> pd.DataFrame:
    calls, kept = _calls(trace, steady)
    step = numbers(calls, "step")
    values, code = np.unique(step.values[step.valid], return_inverse=True)
    group = np.full(calls.num_rows, -1, np.int64)
    group[step.valid] = code
    sums = _Sums(group, kept, len(values))
    outer = ~numbers(calls, "parent_call_id").valid
    total, start = numbers(calls, "total_ns"), numbers(calls, "start_ns")
    frame = sums.frame("step", [*values.tolist(), None])
    frame["step"] = pd.array(frame["step"].tolist(), dtype="Int64")
    frame["total_us"] = sums.of(total, outer) / 1000
    frame["self_us"] = sums.of(numbers(calls, "self_ns"), outer, null=True) / 1000
    first = np.full(len(values) + 1, np.iinfo(np.int64).max)
    last = np.zeros(len(values) + 1, np.int64)
    timed = kept & start.valid
    np.minimum.at(first, sums.group[timed], start.values[timed])
    np.maximum.at(last, sums.group[timed], (start.values + total.values)[timed])
    span = np.where(last > 0, last - first, 0)[sums.present]
    frame["span_us"] = span / 1000
    ordered: pd.DataFrame = frame.sort_values("step", na_position="first", kind="stable").reset_index(
        drop=True
    )
    return ordered


def _by_layer(trace: Trace, steady: bool) -> pd.DataFrame:
    return layers(trace, steady)


_BY: Final[dict[str, Callable[[Trace, bool], pd.DataFrame]]] = {
    "op": _by_op,
    "layer": _by_layer,
    "line": _by_line,
    "kernel": _by_kernel,
    "step": _by_step,
    "graph": by_graph,
}


class _Sums:
    """Sums over groups of rows, for the groups that have a kept row; code -1 is the last group."""

    def __init__(self, group: Ints, kept: Bools, groups: int) -> None:
        self.group = np.where(group < 0, groups, group)
        self._kept = kept
        self._size = groups + 1
        counts = np.bincount(self.group[kept], minlength=self._size)
        self.present = np.flatnonzero(counts)
        self._counts = counts

    def frame(self, title: str, names: list[Any]) -> pd.DataFrame:
        made: pd.DataFrame = pd.DataFrame({title: self.pick(names), "count": self._counts[self.present]})
        return made

    def pick(self, values: list[Any]) -> list[Any]:
        return [values[i] for i in self.present.tolist()]

    def count(self, which: Bools) -> Ints:
        return np.bincount(self.group[self._kept & which], minlength=self._size)[self.present]

    def of(self, column: Numbers, which: Bools | None = None, null: bool = False) -> npt.NDArray[np.float64]:
        """Sum of the column in each group; with `null`, NaN where the group has no value at all."""
        rows = self._kept & column.valid
        if which is not None:
            rows = rows & which
        whole = bool(rows.all())
        group, values = (self.group, column.values) if whole else (self.group[rows], column.values[rows])
        # exact: float64 holds every whole number of ns up to a hundred days
        total = np.bincount(group, weights=values, minlength=self._size).astype(float)
        if null:
            known = self._counts if whole else np.bincount(group, minlength=self._size)
            total[known == 0] = np.nan
        return np.asarray(total[self.present], np.float64)


def _calls(trace: Trace, steady: bool) -> tuple[Any, Bools]:
    calls = table(trace, "calls")
    kept = numbers(calls, "warm_up").values == 0 if steady else np.ones(calls.num_rows, bool)
    return calls, kept


def _site(trace: Trace) -> Ints:
    return positions(table(trace, "sites"), "site_id", numbers(table(trace, "calls"), "site_id"))


def _ranked(frame: pd.DataFrame) -> pd.DataFrame:
    ranked: pd.DataFrame = frame.sort_values(["self_us", "total_us"], ascending=False, kind="stable")
    ranked = ranked.reset_index(drop=True)
    return ranked


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON has them: plain numbers, three decimals of a microsecond (a nanosecond), None for null."""
    return [{str(k): _value(v) for k, v in row.items()} for row in frame.to_dict("records")]


def _value(value: Any) -> Any:
    if value is None or value is pd.NA:
        return None
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return None if value != value else round(value, 3)
    return value
