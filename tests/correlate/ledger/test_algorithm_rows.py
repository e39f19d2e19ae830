"""The ledger is one: rows of every source that tells of a problem end in it, whatever each of them calls it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tftrace.analysis import algorithms
from tftrace.api import load
from tftrace.correlate.imported import import_files
from tftrace.correlate.ledger.algorithm_rows import add_candidate, settle
from tftrace.correlate.ledger.repetitions import timing
from tftrace.correlate.tables.columns import TraceBuilder

PROBE: dict[str, Any] = {
    "op": "convolution", "direction": "forward", "input": [2, 16, 16, 8], "filter": [3, 3, 8, 16],
    "output": [2, 16, 16, 16], "strides": [1, 1], "dilations": [1, 1], "padding": [[1, 1], [1, 1]], "groups": 1,
    "layout": "NHWC", "dtype": "float32", "math": "float32", "fused": [],
}  # fmt: skip
LOG = PROBE | {"op": "Conv2D", "dtype": None, "math": None}


def settled(*rows: tuple[dict[str, Any], dict[str, Any]]) -> list[dict[str, Any]]:
    build = TraceBuilder()
    for problem, columns in rows:
        add_candidate(build, "cuDNN", problem, **{"status": "ok", "evidence": "measured"} | columns)
    settle(build)
    first = [dict(row) for row in build.algorithms]
    settle(build)
    assert build.algorithms == first
    return first


def test_two_sources_of_one_candidate_are_one_row_with_the_better_time() -> None:
    (row,) = settled(
        (PROBE, {"algorithm": "ALGO_FFT", "source": "cudnn_probe", "time_us": 4576.0, "time_of": "call on the host",
                 "calls": 3, "chosen": True, "knobs": '{"k2":4}'}),
        (LOG, {"algorithm": "FFT", "source": "tf_log", "time_us": 200.0, "time_of": "TensorFlow's autotuner",
               "workspace_bytes": 8192, "knobs": '{"TILE_SIZE":4}'}),
    )  # fmt: skip
    assert json.loads(row["problem"]) == PROBE | {"op": "Conv2D"}
    told = ("algorithm", "source", "time_us", "time_of", "calls", "chosen", "workspace_bytes", "knobs")
    assert tuple(row[k] for k in told) == (
        "FFT", "cudnn_probe + tf_log", 200.0, "TensorFlow's autotuner", 3, True, 8192, '{"TILE_SIZE":4}',
    )  # fmt: skip


def test_what_tells_less_joins_the_one_problem_it_fits_and_none_of_several() -> None:
    half = PROBE | {"dtype": "float16"}
    one = settled(
        (LOG, {"algorithm": "a", "source": "tf_log"}), (PROBE, {"algorithm": "b", "source": "cudnn_probe"})
    )
    assert {r["problem_id"] for r in one} == {0}
    rows = settled(
        (LOG, {"algorithm": "a", "source": "tf_log"}),
        (PROBE, {"algorithm": "b", "source": "cudnn_probe"}),
        (half, {"algorithm": "b", "source": "cudnn_probe"}),
    )
    assert [r["problem_id"] for r in rows] == [0, 1, 2]


def test_devices_stay_apart_and_their_models_need_not_be_named_alike() -> None:
    log = {"algorithm": "a", "source": "tf_log", "device": "Tesla T4"}
    cudnn = {"algorithm": "a", "source": "cudnn_log", "device": "NVIDIA Tesla T4"}
    probe = {"algorithm": "a", "source": "cudnn_probe", "device": "/device:GPU:0"}
    (row,) = settled((LOG, log), (PROBE, cudnn), (PROBE, probe))
    assert (row["device"], row["device_model"]) == ("/device:GPU:0", "NVIDIA Tesla T4")
    other = probe | {"device": "/device:GPU:1"}
    assert [r["device"] for r in settled((PROBE, probe), (PROBE, other))] == [
        "/device:GPU:0",
        "/device:GPU:1",
    ]


@pytest.mark.parametrize("time", [float("nan"), float("inf"), -1.0])
def test_what_is_no_time_is_null_with_a_reason(time: float) -> None:
    (row,) = settled((PROBE, {"algorithm": "a", "source": "x", "time_us": time}))
    assert row["time_us"] is None
    assert "is none" in row["reason"]


def test_tunings_of_one_source_add_up_and_two_sources_tell_of_the_same_ones() -> None:
    tuned = {"algorithm": "a", "source": "tf_log", "tunings": 1, "tuning_us": 5.0, "time_of": "autotuner"}
    again = tuned | {"retunes": 1} | timing([7.0])
    probe = {"algorithm": "a", "source": "cudnn_probe", "tunings": 2, "tuning_us": 12.0, "retunes": 1}
    (row,) = settled(
        (LOG, tuned | {"retunes": 0} | timing([5.0])), (LOG, again | {"tuning_us": 7.0}), (PROBE, probe)
    )
    assert (row["tunings"], row["retunes"], row["tuning_us"]) == (2, 1, 12.0)
    assert (row["time_us"], row["samples_us"]) == (6.0, [5.0, 7.0])


def test_calls_that_hold_trials_are_counted_without_them() -> None:
    (row,) = settled(
        (PROBE, {"algorithm": "a", "source": "cudnn_log", "calls": 4, "chosen": True}),
        (LOG, {"algorithm": "a", "source": "tf_log", "trials": 1, "time_us": 3.0, "chosen": True}),
    )
    assert (row["calls"], row["trials"]) == (3, 1)


def test_repetitions_have_an_interval_only_where_they_suffice() -> None:
    assert timing([3.0, 1.0, 2.0]) == {
        "time_us": 2.0,
        "low_us": None,
        "high_us": None,
        "samples_us": [3.0, 1.0, 2.0],
    }
    six = timing([6.0, 1.0, 5.0, 2.0, 4.0, 3.0])  # the smallest and the largest miss the median by 2 in 64
    assert (six["low_us"], six["high_us"]) == (1.0, 6.0)
    many = timing([float(n) for n in range(1, 1001)])
    assert (many["low_us"], many["high_us"]) == (469.0, 532.0)  # 1000 / 2 -+ 1.96 * sqrt(1000) / 2
    assert len(many["samples_us"]) == 256
    assert timing([float("nan"), -1.0])["time_us"] is None


@pytest.mark.parametrize(
    ("files", "problems"),
    [
        (("vlog_cold.log", "cudnn_level3_cold.log.gz", "frontend_info_cold.log"), {"forward": 31}),
        (
            ("vlog_grad.log", "cudnn_level3_grad.log.gz", "frontend_info_grad.log"),
            {"forward": 31, "backprop_input": 32, "backprop_filter": 24},
        ),
    ],
)
def test_three_logs_of_one_run_are_one_ledger(
    shared_data: Path, tmp_path: Path, files: tuple[str, ...], problems: dict[str, int]
) -> None:
    place = shared_data / "cudnn9_genuine" / "tf_real_cudnn"
    document = algorithms.document(load(import_files([place / f for f in files], tmp_path / "t")))
    found = {p["problem"]["direction"]: p for p in document["problems"]}
    assert len(found) == len(document["problems"])
    assert {k: len(p["candidates"]) for k, p in found.items()} == problems
    for problem in found.values():
        assert {c["source"] for c in problem["candidates"]} == {"tf_log + cudnn_log + cudnn_frontend_log"}
        assert [c["chosen"] for c in problem["candidates"]].count(True) == 1
        assert problem["problem"]["dtype"] == problem["problem"]["math"] == "float32"
        assert (problem["tunings"], problem["picked_by"]) == (1, "autotuner")
        assert all(c["workspace_bytes"] is not None for c in problem["candidates"])


def test_xlas_log_and_dump_and_the_front_ends_log_are_one_problem(shared_data: Path, tmp_path: Path) -> None:
    place = shared_data / "cudnn9_genuine" / "tf_real_cudnn"
    files = [place / n for n in ("vlog_xla.log", "frontend_info_xla.log", "xla_autotune.textproto")]
    (problem,) = algorithms.document(load(import_files(files, tmp_path / "t")))["problems"]
    assert problem["problem"]["fused"] == ["add", "bias", "relu"]
    assert sum(c["chosen"] for c in problem["candidates"]) == 1


def placed(order: int, algorithm: str | None, **columns: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A row of a profile, which tells an op by its place."""
    problem = {"op": "Conv2D", "direction": "forward", "order": order, "nodes": [f"conv{order}"]}
    told = {
        "source": "kernel_names",
        "evidence": "inferred",
        "device": "/device:GPU:0",
        "implementation": "kernel",
    }
    return problem, {"algorithm": algorithm, **told, **columns}


def test_problems_without_shapes_are_matched_with_those_of_a_log_by_order() -> None:
    other = LOG | {"input": [2, 8, 8, 8], "output": [2, 8, 8, 16]}
    log = {"source": "tf_log", "chosen": True, "trials": 1, "time_of": "TensorFlow's autotuner"}
    first, second = settled(
        placed(1, "FFT", chosen=True, calls=7, total_us=70.0),
        placed(0, None, chosen=True, calls=5, total_us=50.0, reason="no rule knows its kernels"),
        (LOG, log | {"algorithm": "eng1", "time_us": 9.0}),
        (other, log | {"algorithm": "eng2", "time_us": 8.0}),
    )
    told = [
        (
            json.loads(r["problem"])["input"],
            r["algorithm"],
            r["calls"],
            r["evidence"],
            r["implementation"],
            r["reason"],
        )
        for r in sorted((first, second), key=lambda r: str(r["algorithm"]))
    ]
    assert told == [
        ([2, 16, 16, 8], "eng1", 5, "inferred", "kernel", None),
        ([2, 8, 8, 8], "eng2", 7, "inferred", "kernel", None),
    ]


def test_trials_of_a_profile_are_those_of_the_log_in_their_order() -> None:
    log = {"source": "tf_log", "trials": 1, "time_of": "TensorFlow's autotuner"}
    rows = settled(
        placed(0, "ALGO_1", trials=1, time_us=5.0, time_of="device"),
        placed(
            0, "ALGO_0", trials=1, time_us=3.0, time_of="device", chosen=True, calls=2, implementation="other"
        ),
        (LOG, log | {"algorithm": "eng7", "time_us": 5.5}),
        (LOG, log | {"algorithm": "eng9", "trials": None, "status": "failed"}),
        (LOG, log | {"algorithm": "eng8", "time_us": 3.5, "chosen": True}),
    )
    assert {r["algorithm"]: (r.get("time_us"), r["chosen"], r["evidence"]) for r in rows} == {
        "eng7": (5.0, False, "inferred"), "eng8": (3.0, True, "inferred"), "eng9": (None, False, "measured"),
    }  # fmt: skip


def test_where_counts_differ_nothing_is_matched() -> None:
    rows = settled(
        placed(0, "FFT", chosen=True),
        placed(1, "FFT", chosen=True),
        (LOG, {"algorithm": "eng1", "source": "tf_log"}),
    )
    assert len({r["problem_id"] for r in rows}) == 3
