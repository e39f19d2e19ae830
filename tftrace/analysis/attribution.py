"""Whose the kernel time is: led back to a line of the user's, or made by the framework, and then what for."""

from __future__ import annotations

import re
from typing import Any, Final

import numpy as np
import pandas as pd

from tftrace.analysis.columns import Bools, events_of, numbers, positions, table, texts
from tftrace.analysis.fates import ADDED
from tftrace.model.trace import Trace

OPTIMIZER: Final = "Grappler's own nodes"
NOT_WATCHED: Final = "nodes that nobody was seen to make"
ALIKE: Final = "nodes of a name that several lines gave: whose it was is not told"
KINDS: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    ("transfers between devices", re.compile(r":_(Host)?(Send|Recv)$|:_?Memcpy|:_?(Arg|Retval)$")),
    ("layout transposes", re.compile(r"(^|[/_])LayoutOptimizer\b|-LayoutOptimizer|Transpose(NHWCToNCHW|NCHWToNHWC)")),
    ("folded constants", re.compile(r"(^|/)ConstantFolding/|__cf__\d+(:|$)")),
    (OPTIMIZER, re.compile(r"(^|/)(ArithmeticOptimizer|LoopOptimizer|remapper|Mkl\w*Optimizer)/")),
    ("iterator and tf.data", re.compile(r":\w*(Iterator|Dataset|Optional)\w*$|^(Placeholder|Const|Sink)/_\d+:")),
    ("copies that XLA made", re.compile(r"^copy(\.\d+)?$")),
    ("optimizer slots", re.compile(r"/(Initializer|Momentum|Adam|Adagrad|RMSProp|Ftrl|momentum|velocity)(_\d+)?/")),
    ("optimizer slots", re.compile(r"(^|/)\w*(?i:adam|lamb|lion)\w*/(.*/)?[mv](_\d+)?/")),
)  # fmt: skip
"""What the framework makes for itself, by the name of the kernel (`node:Kernel`); the first that fits."""
_ADDED: Final = {"Transpose": "layout transposes", "Const": "folded constants"}
"""By op, where the graph that ran was recorded beside the one that the lines made, and holds the node alone."""
_NAMES: Final = 1000


def kernel_time(trace: Trace) -> dict[str, Any] | None:
    """Kernel time by whose it is: `total_us`, `yours_us` (of ops that a line of the user's made), their `share` (None
    where no kernel was seen), and `framework_made`: rows of kind, count, total_us and the costliest `names`.
    None of a trace that knows no line of Python, such as an imported one.

    Time is that of the kernels themselves, on whatever thread; kernels that run beside each other count each.
    """
    if not (texts(table(trace, "sites"), "python_file").codes >= 0).any():
        return None
    frame = framework_made(trace)
    total = float(frame["total_us"].sum())
    rest = frame[~frame["yours"]]
    rows = []
    for kind, group in rest.groupby("kind", sort=False):
        costly = group.sort_values("total_us", ascending=False, kind="stable")
        rows.append(
            {
                "kind": str(kind),
                "count": int(group["count"].sum()),
                "total_us": round(float(group["total_us"].sum()), 3),
                "names": [str(n) for n in costly["kernel"].head(_NAMES)],
            }
        )
    yours = float(frame.loc[frame["yours"], "total_us"].sum())
    return {
        "total_us": round(total, 3),
        "yours_us": round(yours, 3),
        "share": round(yours / total, 6) if total else None,
        "framework_made": sorted(rows, key=lambda r: (-float(r["total_us"]), str(r["kind"]))),
    }


def framework_made(trace: Trace) -> pd.DataFrame:
    """One row for each kernel name, apart for what is the user's: columns kernel, kind (null where it is the user's),
    yours, count, total_us; the costliest first.
    """
    events = table(trace, "events")
    layer, name, dur = texts(events, "layer"), texts(events, "name"), numbers(events, "dur_ns")
    kernel = layer.where(np.array([v == "kernel" for v in layer.values], bool))
    mine = _yours(trace, kernel)
    key = name.codes * 2 + mine
    used, inverse = np.unique(key[kernel], return_inverse=True)
    frame = pd.DataFrame(
        {
            "kernel": ["(no name)" if k < 0 else name.values[k // 2] for k in used.tolist()],
            "yours": used % 2 == 1,
            "count": np.bincount(inverse, minlength=len(used)),
            "total_us": np.bincount(inverse, weights=dur.values[kernel], minlength=len(used)) / 1000,
        }
    )
    added, alike = _added(trace, kernel), _made_by_lines(trace)
    kinds = [
        None if y else added.get(k) or kind(k) for k, y in zip(frame["kernel"], frame["yours"], strict=True)
    ]
    frame["kind"] = [
        ALIKE if k == NOT_WATCHED and name.rpartition(":")[0] in alike else k
        for k, name in zip(kinds, frame["kernel"], strict=True)
    ]
    frame = frame.sort_values("total_us", ascending=False, kind="stable").reset_index(drop=True)
    ranked: pd.DataFrame = frame[["kernel", "kind", "yours", "count", "total_us"]]
    return ranked


def kind(kernel: str) -> str:
    """What the framework made a kernel for, by its name."""
    return next((title for title, pattern in KINDS if pattern.search(kernel)), NOT_WATCHED)


def _added(trace: Trace, kernel: Bools) -> dict[str, str]:
    """By the name of a kernel what it was made for, of nodes that TensorFlow's optimizer put into the graph."""
    sites, events = table(trace, "sites"), table(trace, "events")
    fate, op, name = texts(sites, "fate"), texts(sites, "op"), texts(events, "name")
    added = fate.where(np.array([v == ADDED for v in fate.values], bool))
    found: dict[str, str] = {}
    for code in np.unique(op.codes[added]).tolist():
        mine = _serving(trace, added & (op.codes == code)) & kernel
        title = _ADDED.get(op.values[code], OPTIMIZER) if code >= 0 else OPTIMIZER
        found.update({name.values[n]: title for n in np.unique(name.codes[mine]).tolist() if n >= 0})
    return found


def _made_by_lines(trace: Trace) -> set[str]:
    """The names of nodes that lines of the user's made, but for those that a process without Python made as well."""
    sites = table(trace, "sites")
    node, file, mode = (texts(sites, c) for c in ("node", "python_file", "mode"))
    native = mode.where(np.array([v == "native" for v in mode.values], bool))
    lines, others = (np.unique(node.codes[m]) for m in (file.codes >= 0, native & (file.codes < 0)))
    return {node.values[n] for n in np.setdiff1d(lines, others).tolist() if n >= 0}


def _yours(trace: Trace, kernel: Bools) -> Bools:
    """Which of the kernels serve a call whose site has a line of the user's."""
    return _serving(trace, texts(table(trace, "sites"), "python_file").codes >= 0) & kernel


def _serving(trace: Trace, chosen: Bools) -> Bools:
    """Which events serve a call of one of the sites."""
    site = positions(table(trace, "sites"), "site_id", numbers(table(trace, "calls"), "site_id"))
    return events_of(trace, np.append(chosen, False)[site])
