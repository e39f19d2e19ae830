"""Work handed from one thread to another, found by the ids that TensorFlow gave both ends."""

from __future__ import annotations

from typing import Final

import numpy as np

from tftrace.correlate.tables.columns import NONE, Int, TraceBuilder, taken

RUNS: Final = ("FunctionRun", "SessionRun", "RunGraph")


def hand_over(
    build: TraceBuilder, ids: Int, parent: Int, name: Int, producer: Int, consumer: Int, run: Int
) -> None:
    """Gives events without a parent of their thread the one on another thread that handed them their work.

    All arrays belong to the same events; `parent` holds positions in them and is changed in place. First what a
    consumer id names, then the step's own run (`FunctionRun{id} > ExecutorState::Process{id}`).
    """
    roots = np.flatnonzero((parent < 0) & ((consumer != NONE) | (run != NONE)))
    by_id = by_key(consumer[roots], producer)
    _adopt(build, ids, parent, roots, by_id, "producer id")
    rest = roots[by_id < 0]
    is_run = np.isin(name, build.words.codes(RUNS))
    by_step = by_key(run[rest], np.where(is_run, run, NONE))
    _adopt(build, ids, parent, rest, np.where(by_step == rest, NONE, by_step), "step id")


def _adopt(build: TraceBuilder, ids: Int, parent: Int, rows: Int, above: Int, rule: str) -> None:
    parent[rows] = above
    build.link(ids[rows], taken(ids, above), rule, "measured")


def by_key(wanted: Int, keys: Int) -> Int:
    """Index into `keys` of each wanted key; NONE where it is absent. The first of equal keys counts."""
    have = np.flatnonzero(keys != NONE)
    if len(have) == 0 or len(wanted) == 0:
        return np.full(len(wanted), NONE, np.int64)
    order = have[np.argsort(keys[have], kind="stable")]
    at = np.minimum(np.searchsorted(keys[order], wanted), len(order) - 1)
    found = (keys[order[at]] == wanted) & (wanted != NONE)
    return np.where(found, order[at], NONE)
