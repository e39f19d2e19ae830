"""Ops and kernels between runs: what each costs, and what only some of the runs have.

That is what runs without library calls compare by, and what one model in several modes does: ops that the graph's
optimizer removed or fused are in the eager run alone, `_FusedConv2D` and its like in the other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tftrace.analysis.columns import Bools, Ints, numbers, parts, positions, table, texts
from tftrace.analysis.comparison.run import Run
from tftrace.analysis.comparison.samples import Samples, by_code, split
from tftrace.analysis.comparison.times import between, cost, of_run, rounded
from tftrace.analysis.layers import steady_events
from tftrace.model.layers import LAYERS
from tftrace.model.trace import Trace

Codes = npt.NDArray[np.int32]
_RAN: Final = ("kernel", "device")
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
    found = [read(run.trace) for run in runs]
    rows = []
    for key in dict.fromkeys(k for one in found for k in one):
        named = names(key)
        if "lines" in named:
            named["lines"] = [sorted(one[key][1]) if key in one else None for one in found]
        rows.append(named | _row(key, found, runs))
    rows.sort(key=lambda row: -max(r["in_all_us"] or 0.0 for r in row["runs"]))
    return rows


def _row(key: tuple[str, ...], found: Sequence[Found], runs: Sequence[Run]) -> dict[str, Any]:
    base = found[0].get(key)
    changes = []
    for one, run in zip(found[1:], runs[1:], strict=True):
        if base is None or key not in one:
            continue
        times = between(base[0], one[key][0])
        changes.append(
            {
                "trace": run.label, "baseline": runs[0].label, **times,
                **cost(times, _count(one[key][0]), _steps(run, key)),
            }
        )  # fmt: skip
    missing = any(key not in one for one in found)
    told = {c["time"] for c in changes if c["difference_us"] != 0}
    order = ("slower", "faster", "within_noise")
    return {
        "verdict": "only_in_some" if missing else next((v for v in order if v in told), "same"),
        "runs": [_run(one.get(key), run, _steps(run, key)) for one, run in zip(found, runs, strict=True)],
        "changes": changes,
    }


def _run(one: tuple[Samples, set[int]] | None, run: Run, steps: int | None) -> dict[str, Any]:
    if one is None:
        return {"trace": run.label, "present": False, "count": 0, "time_us": None, "in_all_us": None}
    samples = one[0]
    in_all = float(samples.steady.sum() + samples.warm_up.sum())
    return {
        "trace": run.label, "present": True, "count": _count(samples), **of_run(samples),
        "in_all_us": rounded(in_all),
        "per_step_us": rounded(in_all / steps) if steps else None,
    }  # fmt: skip


def _steps(run: Run, key: tuple[str, ...]) -> int | None:
    """The steps that this op ran in; a kernel's are not known."""
    return None if key[0] in LAYERS else run.steps_with(key[0])


def _count(samples: Samples) -> int:
    return len(samples.steady) + len(samples.warm_up)


def _ops(trace: Trace) -> Found:
    op = texts(table(trace, "sites"), "op")
    names = {name: at for at, name in enumerate(dict.fromkeys(map(plain_op, op.values)))}
    place = np.array([names[plain_op(v)] for v in op.values] + [-1], np.int64)
    code = place[np.append(op.codes, -1)[_site(trace)]]
    return {
        (name,): (samples, set())
        for name, samples in zip(names, by_code(trace, code, len(names)), strict=True)
        if _count(samples)
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
    samples = by_code(trace, place[_site(trace)], len(keys))
    return {key: (one, at) for key, one, at in zip(keys, samples, lines, strict=True) if _count(one)}


def sites_that_ran(trace: Trace) -> dict[tuple[str, ...], int]:
    """Executions by op, file name and source text of the line."""
    return {key: _count(samples) for key, (samples, _) in _sites(trace).items()}


def _kernels(trace: Trace) -> Found:
    # what belongs to no call (a profile without tftrace) is not known to be warm-up
    warm = _has_call(trace) & ~steady_events(trace)

    def make(part: pa.Table, first: int) -> tuple[list[str], dict[str, tuple[Codes, Ints, Bools]]]:
        """The names, and of kernels by where they ran the code of the name, the ns, and whether in warm-up."""
        layer, name = texts(part, "layer"), texts(part, "name")
        dur, on_stream = numbers(part, "dur_ns"), numbers(part, "stream").valid
        timed = dur.valid & (name.codes >= 0)
        some = {}
        for of in _RAN:
            here = layer.where(np.array([v == of for v in layer.values], bool)) & timed
            rows = np.flatnonzero(here & on_stream if of == "device" else here)
            some[of] = name.codes[rows].astype(np.int32), dur.values[rows], warm[first + rows]
        return name.values, some

    told = list(parts(trace, "events", ["layer", "name", "dur_ns", "stream"], make))
    every = list(dict.fromkeys(name for names, _ in told for name in names))
    found: Found = {}
    for of in _RAN:
        short = {v: v.rsplit(":", 1)[-1] if of == "kernel" else v for v in every}
        names = {v: at for at, v in enumerate(dict.fromkeys(short.values()))}
        codes = [
            np.array([names[short[v]] for v in of_part], np.int64)[some[of][0]] for of_part, some in told
        ]
        ns, cold = ([some[of][at] for _, some in told] for at in (1, 2))
        number = np.concatenate([np.zeros(0, np.int64), *codes])
        times, in_warm_up = (
            np.concatenate([np.zeros(0, np.int64), *ns]),
            np.concatenate([np.zeros(0, bool), *cold]),
        )
        for key, mine in zip(names, split(number, len(names)), strict=True):
            if len(mine):
                us, first = times[mine] / 1000, in_warm_up[mine]
                found[of, key] = (Samples(us[~first], us[first], "event"), set())
    return found


def _has_call(trace: Trace) -> np.ndarray[Any, np.dtype[np.bool_]]:
    events, members = table(trace, "events"), table(trace, "event_calls")
    at = positions(events, "event_id", numbers(members, "event_id"))
    mask = np.zeros(events.num_rows, np.bool_)
    mask[at[at >= 0]] = True
    return mask


def _site(trace: Trace) -> Ints:
    return positions(table(trace, "sites"), "site_id", numbers(table(trace, "calls"), "site_id"))
