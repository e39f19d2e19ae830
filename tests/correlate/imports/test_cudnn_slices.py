"""A cuDNN log whose records are put together piece by piece gives the calls that it gives one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.paging import put_on_disk
from tftrace.correlate.imports import cudnn as cudnn_import
from tftrace.correlate.imports.containment import contain
from tftrace.correlate.imports.cudnn_calls import find_calls
from tftrace.correlate.imports.facts import Facts
from tftrace.correlate.ledger.algorithm_rows import settle
from tftrace.correlate.tables.columns import TraceBuilder
from tftrace.correlate.tables.scratch import Scratch
from tftrace.ingest.cudnn.log import parse_log, read
from tftrace.ingest.cudnn.problem import meaning
from tftrace.ingest.cudnn.records import NONE, CudnnLog
from tftrace.store.pages import Pages

BODY = {
    "entry": "i!     handle: type=cudnnHandle_t; val=1;\n",
    "status": "i!     status: type=cudnnStatus_t; val=CUDNN_STATUS_SUCCESS (0);\n",
    "plan": (
        "i!     descriptor: type=CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR:\n"
        "i!         engine_id: type=int; val=28;\n"
    ),
    "message": (
        "w!     Info: Traceback contains 1 message(s)\n"
        "w!         Warning: CUDNN_STATUS_NOT_SUPPORTED; Reason: no search results\n"
    ),
}
RECORD = st.tuples(
    st.sampled_from("IIIWE"), st.sampled_from(["Finalize", "Execute"]), st.sampled_from(list(BODY)),
    st.integers(0, 3), st.integers(1, 2), st.booleans(),
)  # fmt: skip


def written(records: list[tuple[Any, ...]]) -> bytes:
    """Each some microseconds behind the one before; of some the end is lost, or the head."""
    text, now = "", 100
    for level, function, body, wait, thread, damaged in records:
        now += wait
        head = f"{level}! CuDNN (v92800 42) function cudnnBackend{function}() called:\n"
        time = f"i! Time: 2026-11-23T14:37:12.{now:06d} (0d+1h+0m+1s since start)\n"
        process = f"i! Process=7; Thread={thread}; GPU=0; Handle=0x56; StreamId=(nil) (defaultStream).\n\n"
        if damaged and body == "plan":
            text += time + process
        elif damaged and body == "entry":
            text += head + BODY[body] + "\n"
        else:
            text += head + BODY[body] + time + process
    return text.encode()


def one_by_one(log: CudnnLog) -> list[tuple[int, int, list[int]]]:
    """First record of each call, the one that ends it, and its messages."""
    meanings = [meaning(None, log.arguments(code)) for code in range(len(log.bodies))]
    calls: list[list[Any]] = []
    latest: dict[Any, list[Any]] = {}
    for at in range(len(log)):
        context, said = int(log.context[at]), meanings[log.body[at]]
        place = None if context == NONE else (log.contexts[context].process, log.contexts[context].thread)
        key = (place, int(log.function[at]))
        call = latest.get(key) if key[1] != NONE else None
        if call is not None and said.status is not None and not said.messages and call[1] == NONE:
            call[1] = at
        elif call is not None and (log.level[at] > 0 or (log.level[at] == NONE and said.messages)):
            call[2].append(at)
        else:
            calls.append([at, NONE, []])
            latest[key] = calls[-1]
    return [(first, end, messages) for first, end, messages in calls]


@settings(max_examples=150, deadline=None)
@given(st.lists(RECORD, max_size=40), st.integers(1, 9))
def test_calls_are_those_of_going_through_one_by_one(records: list[tuple[Any, ...]], rows: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        put_on_disk(patch, rows)
        log = parse_log(written(records))
        meanings = [meaning(None, log.arguments(code)) for code in range(len(log.bodies))]
        calls = find_calls(log, meanings, Pages())
    messages = dict(calls.messages(0, len(log)))
    first = calls.begins.nonzero()[0].tolist()
    assert [(at, int(calls.end[at]), messages.get(at, [])) for at in first] == one_by_one(log)


def joined(log: CudnnLog) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    build = TraceBuilder(scratch=Scratch(in_memory=0))
    facts: Facts = cudnn_import.add(log, build, 1000)
    assert facts.spans is not None
    contain([facts.spans], build)
    settle(build)
    tables = {name: table.to_pylist() for name, table in build.tables().items()}
    return tables, {name: value for name, value in vars(facts).items() if name != "spans"}


@settings(max_examples=60, deadline=None)
@given(st.lists(RECORD, min_size=1, max_size=30), st.integers(1, 9))
def test_any_log_is_the_same_in_pieces(records: list[tuple[Any, ...]], rows: int) -> None:
    data = written(records)
    tables, facts = joined(parse_log(data))
    with pytest.MonkeyPatch.context() as patch:
        put_on_disk(patch, rows)
        assert joined(parse_log(data)) == (tables, facts)


def test_a_recorded_log_is_the_same_in_pieces(shared_data: Path) -> None:
    path = shared_data / "cudnn9_genuine/tf_real_cudnn/cudnn_level3_warm.log.gz"
    tables, facts = joined(read(path))
    with pytest.MonkeyPatch.context() as patch:
        put_on_disk(patch, 997)
        assert joined(read(path)) == (tables, facts)
    assert {row["chosen"] for row in tables["algorithms"]} == {True, False}
