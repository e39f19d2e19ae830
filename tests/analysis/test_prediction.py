"""Predicted lists: the document of the ledger, never mixed with what was run, with the run's pick beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.analysis.contracts import check
from tests.analysis.test_algorithms import candidate, ledger
from tests.ingest.cudnn.test_heuristics import config
from tftrace.analysis import prediction
from tftrace.capture.cudnn_install import Install
from tftrace.capture.cudnn_questions import Question, Reply
from tftrace.capture.gpu_properties import gpu
from tftrace.model.conv2d_spec import DTYPES, parse
from tftrace.model.trace import Trace

SPEC = parse("2,16,16,8:3,3,8,16")
HERE = Install(Path("/x/libcudnn.so.9"), "9.28.0.42")


def reply(spec: str = str(SPEC), name: str = "a100", **modes: Any) -> Reply:
    question = Question(parse(spec), gpu(name))
    return Reply(
        question, HERE, 92800, json.dumps({"modes": modes or {"B": [config(1, (2, 4)), config(0)]}}), None
    )


def recorded(*rows: dict[str, Any], **problem: Any) -> Trace:
    text = json.dumps(SPEC.problem() | {"math": "float32"} | problem)
    return ledger(*({**row, "problem": text, "op": "Conv2D"} for row in rows))


def test_the_document_is_that_of_algorithms_and_predicted_throughout() -> None:
    document = prediction.document(
        [reply(), reply(name="t4"), Reply(reply().question, HERE, None, None, "gone")]
    )
    check(document, "algorithms")
    candidates = [c for row in document["problems"] for c in row["candidates"]]
    assert {(c["evidence"], c["status"], c["chosen"], c["time_us"]) for c in candidates} == {
        ("predicted", "not_tried", False, None)
    }
    first, second, failed = document["problems"]
    assert (first["device"], first["version"], first["chosen"]) == ("NVIDIA A100-SXM4-40GB", "9.28.0", None)
    assert [(c["rank"], c["algorithm"], c["notes"]) for c in first["candidates"]] == [
        (1, "eng1_k2=4", ["TENSOR_CORE"]), (2, "eng0", ["TENSOR_CORE"]),
    ]  # fmt: skip
    assert (second["compute_capability"], second["gpu"]) == ("7.5", "t4")
    assert (failed["candidates"], failed["failed"], failed["version"]) == ([], "gone", "9.28.0.42")


def test_a_plan_that_was_refused_is_unsupported() -> None:
    (row,) = prediction.document([reply(B=[config(1, plan=3008)])])["problems"]
    (one,) = row["candidates"]
    assert (one["status"], one["reason"]) == ("unsupported", "NOT_SUPPORTED_RUNTIME_PREREQUISITE_MISSING")


@pytest.mark.parametrize(
    ("modes", "says"),
    [
        ({"B": [], "A": []}, "cuDNN has no engine for it on this GPU"),
        ({"B": {"error": "x"}, "A": {"error": "y"}}, "mode B: x; mode A: y"),
    ],
)
def test_a_list_without_candidates_says_why(modes: Any, says: str) -> None:
    assert prediction.document([reply(**modes)])["problems"][0]["failed"] == says


def test_the_problem_is_the_one_that_a_run_would_have_recorded() -> None:
    trace = recorded(candidate(0, "eng0", chosen=True))
    (row,) = prediction.document([reply()], trace)["problems"]
    from tftrace.analysis import algorithms

    assert row["problem_key"] == algorithms.document(trace)["problems"][0]["problem_key"]
    assert parse(row["spec"]) == SPEC


def test_the_runs_pick_stands_beside_it_with_its_rank() -> None:
    trace = recorded(
        candidate(0, "eng0", chosen=True, calls=7, device="Tesla A100-SXM4"),
        candidate(0, "eng1_k2=4", time_us=1.0),
    )
    (row,) = prediction.document([reply()], trace)["problems"]
    (pick,) = row["run"]
    assert (pick["algorithm"], pick["rank"], pick["of"], pick["same_gpu"], row["calls"]) == (
        "eng0",
        2,
        2,
        True,
        7,
    )
    assert (pick["evidence"], pick["time_us"]) == ("measured", 10.0)
    assert all(c["evidence"] == "predicted" for c in row["candidates"])


@pytest.mark.parametrize(
    ("picked", "rank", "reason"),
    [
        ({"algorithm": "eng9_k2=1"}, None, "not offered here, where some engines are left out"),
        ({"algorithm": "IMPLICIT_PRECOMP_GEMM"}, None, "the run's cuDNN names algorithms, not engines"),
        ({"algorithm": "convolution_direct", "library": "oneDNN"}, None, "the run used oneDNN"),
        ({"algorithm": "eng1_k2=4"}, 1, None),
    ],
)
def test_a_pick_that_is_not_offered_says_why(
    picked: dict[str, Any], rank: int | None, reason: str | None
) -> None:
    trace = recorded(candidate(0, chosen=True, **picked))
    (pick,) = prediction.document([reply()], trace)["problems"][0]["run"]
    assert (pick["rank"], pick["reason"]) == (rank, reason)


@pytest.mark.parametrize(
    ("device", "same"),
    [("Tesla V100-SXM2-16GB", True), ("NVIDIA A100-SXM4-40GB", False), ("/device:GPU:0", None), (None, None)],
)
def test_whether_the_run_was_on_such_a_gpu_is_told_as_far_as_it_is_known(
    device: str | None, same: bool | None
) -> None:
    trace = recorded(candidate(0, "eng0", chosen=True, device=device))
    (pick,) = prediction.document([reply(name="v100")], trace)["problems"][0]["run"]
    assert pick["same_gpu"] is same


def test_a_pick_for_another_type_is_not_set_beside_it() -> None:
    trace = recorded(candidate(0, "eng0", chosen=True))
    (row,) = prediction.document([reply("2,16,16,8:3,3,8,16:1:SAME:float16")], trace)["problems"]
    assert row["run"] == []


def test_the_convolutions_of_a_trace_once_each_and_the_rest_with_reasons() -> None:
    unknown = SPEC.problem() | {"dtype": None}
    problems = [SPEC.problem(), SPEC.problem() | {"math": "float32"}, unknown, unknown | {"math": "x"}]
    rows = [
        {**candidate(i, "x"), "problem": json.dumps(one), "op": "Conv2D"} for i, one in enumerate(problems)
    ]
    product = {**candidate(9, "x"), "problem": "{}", "op": "MatMul", "direction": "other"}
    trace = ledger(*rows, product)
    specs, skipped = prediction.specs_of(trace)
    assert specs == [SPEC]
    assert skipped == [
        {"reason": f"Conv2D: its data type is not known, not one of {', '.join(DTYPES)}", "problems": 2},
        {"reason": "no 2-D convolution (MatMul)", "problems": 1},
    ]


@pytest.mark.parametrize(
    ("dtype", "name", "layout"),
    [
        ("float32", "v100", "NCHW"), ("float32", "t4", "NCHW"), ("float32", "a100", None), ("float16", "v100", None),
        ("bfloat16", "t4", "NCHW"), ("bfloat16", "h100", None), ("float64", "b200", "NCHW"),
    ],
)  # fmt: skip
def test_where_tensorflow_would_transpose_the_document_says_so(
    dtype: str, name: str, layout: str | None
) -> None:
    made = f"2,16,16,8:3,3,8,16:1:SAME:{dtype}"
    nhwc, nchw = prediction.document([reply(made, name), reply(f"{made}:layout=NCHW", name)])["problems"]
    assert (nhwc["tensorflow_layout"], nchw["tensorflow_layout"]) == (layout, None)


def test_what_could_not_be_listed_without_a_gpu_is_said() -> None:
    (row,) = prediction.document([reply()])["problems"]
    assert "cuBLASLt" in row["left_out"]
