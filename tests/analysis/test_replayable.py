"""Which convolutions of a trace are replayed."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from tftrace.analysis.replayable import convolutions
from tftrace.api import load
from tftrace.model.schemas import ALGORITHMS, CALLS, SITES, TABLES
from tftrace.model.trace import Trace

EXAMPLE = Path(__file__).parents[2] / "traces" / "examples" / "eager_conv2d"


def test_the_convolutions_of_the_ledger_with_their_calls_and_the_rest_with_a_reason() -> None:
    wanted, left_out = convolutions(load(EXAMPLE))
    assert [(str(w.spec), w.calls) for w in wanted] == [("8,56,56,64:3,3,64,64:1:SAME:float32", 5)]
    assert wanted[0].cost_us is not None
    assert [(row["problem"]["op"], "no 2-D convolution" in row["reason"]) for row in left_out] == [
        ("reorder", True)
    ]


def test_a_tuning_is_tuned_again_with_the_calls_of_its_trace() -> None:
    wanted, left_out = convolutions(load(EXAMPLE.parent / "tuned_conv2d"))
    assert [(str(w.spec), w.calls) for w in wanted] == [("8,56,56,64:3,3,64,64:1:SAME:float32", 5)]
    assert left_out == []


def trace(**tables: list[dict[str, object]]) -> Trace:
    made = {name: schema.empty_table() for name, schema in TABLES.items()}
    schemas = {"algorithms": ALGORITHMS, "calls": CALLS, "sites": SITES}
    for name, rows in tables.items():
        made[name] = pa.Table.from_pylist(rows, schema=schemas[name])
    return Trace({}, made)


def op_call(call: int, shapes: str, attributes: str, total_ns: int) -> dict[str, object]:
    return {
        "call_id": call, "site_id": 0, "shapes": shapes, "dtypes": '["float32","float32"]', "op_attrs": attributes,
        "total_ns": total_ns,
    }  # fmt: skip


def test_without_a_library_the_op_calls_tell_the_forward_convolutions() -> None:
    plain = '{"strides":[1,2,2,1],"padding":"SAME","data_format":"NHWC","dilations":[1,1,1,1]}'
    padded = (
        '{"strides":[1,1,1,1],"padding":"EXPLICIT","explicit_paddings":[0,0,1,2,0,1,0,0],"data_format":"NHWC",'
        '"dilations":[1,1,1,1]}'
    )
    calls = [
        op_call(0, "[[8,56,56,64],[3,3,64,64]]", plain, 1000),
        op_call(1, "[[8,56,56,64],[3,3,64,64]]", plain, 3000),
        op_call(2, "[[8,8,8,4],[3,3,4,4]]", padded, 9000),
        op_call(3, "[null,[3,3,4,4]]", padded, 9000),
    ]
    wanted, left_out = convolutions(trace(sites=[{"site_id": 0, "op": "Conv2D"}], calls=calls))
    assert [(str(w.spec), w.calls, w.cost_us) for w in wanted] == [
        ("8,8,8,4:3,3,4,4:1:1,2,0,1:float32", 1, 9.0),
        ("8,56,56,64:3,3,64,64:2:SAME:float32", 2, 4.0),
    ]
    assert left_out == []


def test_one_convolution_told_twice_is_replayed_once() -> None:
    shape = (
        '{"input":[8,56,56,64],"filter":[3,3,64,64],"output":[8,56,56,64],"strides":[1,1],"dilations":[1,1],'
        '"padding":[[1,1],[1,1]],"groups":1,"layout":"NHWC","dtype":"float32","fused":[]}'
    )
    rows: list[dict[str, object]] = [
        {"problem_id": i, "problem": shape, "op": "Conv2D", "direction": "forward", "library": library,
         "algorithm": "a", "calls": 3, "time_us": 2.0, "status": "ok", "chosen": True, "source": "s",
         "evidence": "measured"}
        for i, library in enumerate(("oneDNN", "cuDNN"))
    ]  # fmt: skip
    wanted, _ = convolutions(trace(algorithms=rows))
    assert [(w.calls, w.cost_us) for w in wanted] == [(6, 12.0)]


def test_a_trace_without_convolutions_has_none() -> None:
    assert convolutions(trace()) == ([], [])
