"""Ops and kernels between runs: what each costs, and what only some of the runs have.

That is what runs without library calls compare by, and what one model in several modes does: ops that the graph's
optimizer removed or fused are in the eager run alone, `_FusedConv2D` and its like in the other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from tftrace.analysis.columns import let_go, numbers, parts, table, texts
from tftrace.analysis.comparison.gathered import Gathered, Pieces, pieces
from tftrace.analysis.comparison.run import Run
from tftrace.analysis.comparison.samples import Samples, by_code, of_calls
from tftrace.analysis.comparison.times import between, cost, of_run, rounded
from tftrace.model.layers import LAYERS
from tftrace.model.trace import Trace

_RAN: Final = ("kernel", "device")
_ROWS: Final = 1 << 18
_FUNCTION: Final = re.compile(r"^__(inference|forward|backward)_(.+?)(?:_\d+)+$")


def by_op(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """One row an op type, by its executions; graph functions under their name without TensorFlow's number."""
    return _rows(runs, _ops, lambda key: {"op": key[0]})


def by_site(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """One row an op and the line of Python that made it: by file name and source text, or where that was left out by
    the line's number. So a line that only moved is the same line."""
    return _rows(runs, _sites, lambda key: {"op": key[0], "file": key[1], "code": key[2], "lines": None})


def by_kernel(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """One row a kernel, by layer: OpKernels by their type, what ran on devices by its name."""
    return _rows(runs, _kernels, lambda key: {"layer": key[0], "kernel": key[1]})


Found = dict[tuple[str, ...], tuple[Samples, set[int]]]
"""By key: the times, and the lines that they come from."""


def _rows(
    runs: Sequence[Run],
    read: Callable[[Trace], Found],
    names: Callable[[tuple[str, ...]], dict[str, Any]],
) -> list[dict[str, Any]]:
    found = []
    for run in runs:
        found.append(read(run.trace))
        let_go(run.trace)
    rows = []
    for key in dict.fromkeys(k for one in found for k in one):
        named = names(key)
        if "lines" in named:
            named["lines"] = [sorted(one[key][1]) if key in one else None for one in found]
        told = [(one[key][0].in_us() if key in one else None) for one in found]
        rows.append(named | _row(key, told, runs))
    rows.sort(key=lambda row: -max(r["in_all_us"] or 0.0 for r in row["runs"]))
    return rows


def _row(key: tuple[str, ...], found: Sequence[Samples | None], runs: Sequence[Run]) -> dict[str, Any]:
    base = found[0]
    changes = []
    for one, run in zip(found[1:], runs[1:], strict=True):
        if base is None or one is None:
            continue
        times = between(base, one)
        changes.append(
            {
                "trace": run.label, "baseline": runs[0].label, **times,
                **cost(times, one.count, _steps(run, key)),
            }
        )  # fmt: skip
    missing = None in found
    told = {c["time"] for c in changes if c["difference_us"] != 0}
    order = ("slower", "faster", "within_noise")
    return {
        "verdict": "only_in_some" if missing else next((v for v in order if v in told), "same"),
        "runs": [_run(one, run, _steps(run, key)) for one, run in zip(found, runs, strict=True)],
        "changes": changes,
    }


def _run(samples: Samples | None, run: Run, steps: int | None) -> dict[str, Any]:
    if samples is None:
        return {"trace": run.label, "present": False, "count": 0, "time_us": None, "in_all_us": None}
    in_all = float(samples.steady.sum() + samples.warm_up.sum())
    return {
        "trace": run.label, "present": True, "count": samples.count, **of_run(samples),
        "in_all_us": rounded(in_all),
        "per_step_us": rounded(in_all / steps) if steps else None,
    }  # fmt: skip


def _steps(run: Run, key: tuple[str, ...]) -> int | None:
    """The steps that this op ran in; a kernel's are not known."""
    return None if key[0] in LAYERS else run.steps_with(key[0])


def _ops(trace: Trace) -> Found:
    op = texts(table(trace, "sites"), "op")
    names = {name: at for at, name in enumerate(dict.fromkeys(map(plain_op, op.values)))}
    place = np.array([names[plain_op(v)] for v in op.values] + [-1], np.int64)
    code = place[np.append(op.codes, -1)]
    return {
        (name,): (samples, set())
        for name, samples in zip(names, by_code(trace, code, len(names)), strict=True)
        if samples.count
    }


def plain_op(name: str) -> str:
    """`__inference_step_72` -> `step (function)`: the number is TensorFlow's own and differs from run to run."""
    found = _FUNCTION.match(name)
    if not found:
        return name
    part = "" if found[1] == "inference" else f" {found[1]}"
    return f"{found[2]} (function{part})"


def _sites(trace: Trace) -> Found:
    sites = table(trace, "sites")
    op, file, line = texts(sites, "op"), texts(sites, "python_file"), numbers(sites, "python_line")
    code_text = texts(sites, "python_code")
    keys: dict[tuple[str, ...], int] = {}
    lines: list[set[int]] = []
    place = np.full(sites.num_rows + 1, -1, np.int64)
    for row in range(sites.num_rows):
        name = file.of(row)
        if name is None:
            continue
        at = int(line.values[row]) if line.valid[row] else None
        told = code_text.of(row)
        where = told.strip() if told and told.strip() else f"line {at}"
        key = (plain_op(op.of(row) or "(not known)"), name.rsplit("/", 1)[-1], where)
        number = keys.setdefault(key, len(keys))
        if number == len(lines):
            lines.append(set())
        if at is not None:
            lines[number].add(at)
        place[row] = number
    samples = by_code(trace, place, len(keys))
    return {key: (one, at) for key, one, at in zip(keys, samples, lines, strict=True) if one.count}


def sites_that_ran(trace: Trace) -> dict[tuple[str, ...], int]:
    """Executions by op, file name and source text of the line."""
    return {key: samples.count for key, (samples, _) in _sites(trace).items()}


def _kernels(trace: Trace) -> Found:
    # what belongs to no call (a profile without tftrace) is not known to be warm-up
    has_call, has_steady = of_calls(trace)
    warm = has_call & ~has_steady
    del has_call, has_steady

    def make(part: pa.Table, first: int) -> tuple[list[str], dict[str, tuple[list[str], Pieces]]]:
        """The names of all events, and by layer the kernels, with their times by number."""
        layer, name = texts(part, "layer"), texts(part, "name")
        dur, on_stream = numbers(part, "dur_ns"), numbers(part, "stream").valid
        timed = dur.valid & (name.codes >= 0)
        some = {}
        for of in _RAN:
            here = layer.where(np.array([v == of for v in layer.values], bool)) & timed
            rows = np.flatnonzero(here & on_stream if of == "device" else here)
            kernels = {v: at for at, v in enumerate(dict.fromkeys(_kernel(of, v) for v in name.values))}
            number = np.array([kernels[_kernel(of, v)] for v in name.values], np.int64)[name.codes[rows]]
            some[of] = list(kernels), pieces(number, len(kernels), dur.values[rows], warm[first + rows])
        return name.values, some

    gathered, every = Gathered(), dict[str, None]()
    for names, some in parts(trace, "events", ["layer", "name", "dur_ns", "stream"], make, rows=_ROWS):
        every.update(dict.fromkeys(names))
        for of, (kernels, told) in some.items():
            for at, cold, times in told:
                gathered.add((of, kernels[at]), cold, times)
    found: Found = {}
    for of in _RAN:
        for key in dict.fromkeys((of, _kernel(of, v)) for v in every):
            if key in gathered:
                found[key] = (Samples(*gathered.times(key), "event"), set())
    return found


def _kernel(layer: str, name: str) -> str:
    """`conv/Conv2D:_MklNativeConv2D` -> `_MklNativeConv2D`, of an OpKernel."""
    return name.rsplit(":", 1)[-1] if layer == "kernel" else name
