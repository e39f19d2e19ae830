"""What is most worth asking after a run: the op to explain, or why there is none."""

from __future__ import annotations

import numpy as np

from tftrace.agent.contract import OLDEST_TENSORFLOW, release
from tftrace.analysis.columns import numbers, positions, table, texts
from tftrace.model.trace import Trace


def costliest_op(trace: Trace) -> str | None:
    """The op type that leads furthest: of those led back to a line of the user's the one with the most time in kernels
    or library calls; where no op has any, the one with the most time of its own. None where no op has a line.
    """
    calls, sites = table(trace, "calls"), table(trace, "sites")
    site = positions(sites, "site_id", numbers(calls, "site_id"))
    op, line = texts(sites, "op"), texts(sites, "python_file")
    node, mode = texts(sites, "node"), texts(sites, "mode")
    # what runs a graph is no op: its ops have rows of their own
    is_op = (node.codes >= 0) | mode.where(np.array([m in ("eager", "native") for m in mode.values], bool))
    lined = (site >= 0) & np.append(is_op & (line.codes >= 0), False)[site]
    kernel, library = (numbers(calls, f"{layer}_total_ns").values for layer in ("kernel", "library"))
    code = np.append(op.codes, -1)[site[lined]]
    for time in (np.maximum(kernel, library), numbers(calls, "self_ns").values):
        spent = np.bincount(code, weights=time[lined], minlength=1)
        if spent.any():
            return op.values[int(np.argmax(spent))]
    return None


def unusable_interpreter(trace: Trace) -> str | None:
    """The interpreter of a process that wanted a TensorFlow which is not there, or too old to be traced; else None."""
    for process in trace.manifest.get("processes") or []:
        ended = process.get("exception") or {}
        missing = ended.get("error") in ("ModuleNotFoundError", "ImportError") and "tensorflow" in str(
            ended.get("message")
        )
        version = str(trace.manifest["versions"].get("tensorflow") or "")
        if missing or (version and release(version) < OLDEST_TENSORFLOW):
            return str(process["executable"]) if process.get("executable") else None
    return None
