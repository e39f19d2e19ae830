"""Raw records of a tuning to its ledger."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tftrace.analysis import tuned
from tftrace.api import load
from tftrace.correlate.ledger import replays
from tftrace.errors import InputError
from tftrace.model.conv2d_spec import parse
from tftrace.model.trace import Trace

SPEC = parse("8,28,28,128:3,3,128,128")
LINE = (
    "onednn_verbose,v1,primitive,exec,cpu,{kind},{implementation},forward_training,src:f32::blocked:acdb::f0 "
    "wei:f32:ap:blocked:Acdb24a::f0 bia:undef::undef::: dst:f32::blocked:acdb::f0,attr-scratchpad:user,"
    "alg:convolution_direct,mb8_ic128oc128_ih28oh28kh3sh1dh0ph1_iw28ow28kw3sw1dw0pw1,16.0891"
)


def records(*more: dict[str, Any], tolerance: float = 2**-7) -> list[dict[str, Any]]:
    names = ("onednn", "onednn isa=AVX2", "eigen")
    return [
        {"what": "start", "versions": {"tensorflow": "2.21.0"}, "device": "/device:CPU:0", "description": "a processor",
         "processor": "a processor", "cpus": 2, "memory_bytes": 1, "synthetic": False, "python": "python",
         "budget_s": 60, "tolerance": tolerance, "traced": None},
        {"what": "problem", "problem": 0, "spec": str(SPEC), "contract": SPEC.problem(), "calls": 7},
        *({"what": "candidate", "problem": 0, "name": n, "engine": "oneDNN", "env": {"A": n}, "code": [], "variant": {}}
          for n in names),
        *({**m, "problem": 0} for m in more),
    ]  # fmt: skip


def exact(name: str, relative: float | None) -> dict[str, Any]:
    return {
        "what": "difference", "name": name, "max_abs_difference": relative, "max_relative_difference": relative,
        "finite": relative is not None,
    }  # fmt: skip


def times(name: str, *us: float) -> list[dict[str, Any]]:
    return [{"what": "times", "name": name, "us": [one, one + 1, one - 1]} for one in us]


def written(tmp_path: Path, lines: list[dict[str, Any]], tail: str = "") -> Trace:
    directory = tmp_path / "tuning"
    (directory / "raw").mkdir(parents=True)
    (directory / "run.json").write_text(json.dumps({"argv": ["tftrace", "tune"], "replayed": True}))
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (directory / "raw" / replays.RECORDS).write_text(text + tail)
    return load(directory)


def by_name(trace: Trace) -> dict[str, dict[str, Any]]:
    (problem,) = tuned.document(trace)["problems"]
    return {c["algorithm"]: c for c in problem["candidates"]}


def test_a_round_is_one_repetition_and_the_fastest_exact_one_wins(tmp_path: Path) -> None:
    trace = written(
        tmp_path,
        records(
            exact("onednn", 1e-6), exact("eigen", 1e-6), exact("onednn isa=AVX2", 0.5),
            *times("onednn", *range(100, 110)), *times("eigen", *range(200, 210)), *times("onednn isa=AVX2", 1, 1),
        ),
    )  # fmt: skip
    found = by_name(trace)
    onednn = found["onednn"]
    assert (onednn["time_us"], onednn["low_us"], onednn["high_us"]) == (104.5, 101.0, 108.0)
    assert (onednn["timed_calls"], onednn["chosen"], onednn["rank"], onednn["default"]) == (30, True, 2, True)
    assert (found["onednn isa=AVX2"]["exact_enough"], found["onednn isa=AVX2"]["chosen"]) == (False, False)
    assert found["onednn isa=AVX2"]["low_us"] is None
    assert found["eigen"]["time_of"] == replays.TIME_OF
    (problem,) = tuned.document(trace)["problems"]
    assert (problem["traced_calls"], problem["calls"], problem["tied"]) == (7, None, [])


def test_the_implementation_is_that_of_the_line_and_no_other_primitives(tmp_path: Path) -> None:
    reorder, conv = (
        LINE.format(kind=k, implementation=i) for k, i in (("reorder", "jit:uni"), ("convolution", "brg"))
    )
    recorded = {"what": "recorded", "lines": [reorder, conv], "version": "v3.7.3", "isa": "AVX2"}
    found = by_name(
        written(tmp_path, records({**recorded, "name": "onednn"}, {**recorded, "name": "eigen", "lines": []}))
    )
    assert (found["onednn"]["implementation"], found["onednn"]["printed"]) == ("brg", conv)
    assert [(p["call"], p["count"]) for p in found["onednn"]["primitives"]] == [
        ("reorder", 1),
        ("convolution", 1),
    ]
    assert (found["eigen"]["implementation"], found["eigen"]["printed"]) == (None, None)


def test_what_was_not_timed_says_why(tmp_path: Path) -> None:
    trace = written(
        tmp_path,
        records(
            {"what": "same", "name": "onednn isa=AVX2", "as": "onednn"},
            {"what": "status", "name": "eigen", "status": "failed", "reason": "it was killed by SIGSEGV"},
        ),
    )
    found = by_name(trace)
    assert (found["onednn"]["status"], found["onednn"]["reason"]) == ("not_tried", replays.CUT_SHORT)
    assert found["onednn isa=AVX2"]["reason"] == "oneDNN runs the same as for onednn"
    assert (found["eigen"]["status"], found["eigen"]["reason"]) == ("failed", "it was killed by SIGSEGV")
    assert trace.manifest["probes"][0]["lost"] == 1
    assert not any(c["chosen"] for c in found.values())


def test_a_result_that_is_no_number_never_wins(tmp_path: Path) -> None:
    found = by_name(written(tmp_path, records(exact("onednn", None), *times("onednn", 1, 2))))
    assert (found["onednn"]["exact_enough"], found["onednn"]["chosen"]) == (False, False)


def test_a_failure_after_some_rounds_is_a_failure(tmp_path: Path) -> None:
    failed = {"what": "status", "name": "onednn", "status": "failed", "reason": "it was killed by SIGBUS"}
    found = by_name(written(tmp_path, records(exact("onednn", 1e-6), *times("onednn", 1, 2), failed)))
    assert (found["onednn"]["status"], found["onednn"]["chosen"], found["onednn"]["rank"]) == (
        "failed",
        False,
        None,
    )


def test_a_last_line_that_is_cut_is_left_out_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    assert by_name(written(tmp_path, records(), tail='{"what":"ti'))["onednn"]["status"] == "not_tried"
    with pytest.raises(InputError, match="line 6 is damaged"):
        written(
            tmp_path / "b",
            [*records(), {"what": "times", "problem": 9, "name": "x", "us": [1]}, {"what": "end"}],
        )
    with pytest.raises(InputError, match="holds nothing"):
        written(tmp_path / "c", [])


def test_two_lines_of_the_same_work_are_the_same_whatever_they_took() -> None:
    line = LINE.format(kind="convolution", implementation="jit:avx2")
    assert replays.work([line]) == replays.work([line.replace("16.0891", "99.1")])
    assert replays.work([line]) != replays.work([line.replace("jit:avx2", "jit:avx")])
    assert replays.work([line]) != replays.work([line, line])
    # what names no implementation may be two things
    assert replays.work([line, line.replace("jit:avx2", "")]) is None
    assert replays.work([]) is None
