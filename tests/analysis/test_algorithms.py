"""The ledger of problems, candidates and what was chosen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.analysis.contracts import check
from tests.views.traces import Builder
from tftrace.analysis import algorithms
from tftrace.errors import InputError
from tftrace.model.schemas import ADDED
from tftrace.model.trace import Trace
from tftrace.store.lazy import LazyTables
from tftrace.store.tables import write_tables


def candidate(problem_id: int, algorithm: str | None, **more: Any) -> dict[str, Any]:
    return {
        "problem_id": problem_id,
        "problem": json.dumps({"op": "x", "input": [8, 32, 32, 3]}),
        "op": "convolution",
        "direction": "forward",
        "device": "/device:GPU:0",
        "library": "cuDNN",
        "version": "9.3",
        "algorithm": algorithm,
        "knobs": '{"2": 4}',
        "time_us": 10.0,
        "calls": None,
        "workspace_bytes": 1024,
        "status": "ok",
        "chosen": False,
        "source": "autotune",
        "evidence": "measured",
        **more,
    }


def ledger(*rows: dict[str, Any]) -> Trace:
    b = Builder()
    b.rows["algorithms"] = list(rows)
    return b.trace()


def test_problems_that_cost_most_come_first_and_the_chosen_one_leads() -> None:
    trace = ledger(
        candidate(0, "eng1", chosen=True, calls=5, time_us=1.0),
        candidate(1, "eng7", time_us=30.0),
        candidate(1, "eng2", chosen=True, calls=20, time_us=12.0),
        candidate(1, "eng9", status="failed", time_us=None),
    )
    document = algorithms.document(trace)
    check(document, "algorithms")
    first, second = document["problems"]
    told = first.pop("problem_key")
    assert {k: v for k, v in first.items() if k != "candidates"} == {
        "problem": {"op": "Conv2D", "input": [8, 32, 32, 3], "direction": "forward"},
        "device": "/device:GPU:0",
        "device_model": None,
        "library": "cuDNN",
        "version": "9.3",
        "calls": 20,
        "total_us": None,
        "chosen": "eng2",
        "picked_by": None,
        "runner_up": "eng7",
        "margin_us": 18.0,
        "margin_percent": 150.0,
        "workspace_trade_off": [
            {"algorithm": "eng2", "time_us": 12.0, "workspace_bytes": 1024, "chosen": True}
        ],
        "tunings": None,
        "retunes": None,
        "tuning_us": None,
        "first_ns": None,
    }
    assert json.loads(told) == first["problem"]
    assert [c["algorithm"] for c in first["candidates"]] == ["eng2", "eng7", "eng9"]
    nothing = ("low_us", "high_us", "total_us", "tuning_us", "tunings", "retunes", "first_ns", "picked_by", "reason",
               "confidence", "alternative")  # fmt: skip
    assert first["candidates"][0] == dict.fromkeys(nothing) | {
        "algorithm": "eng2",
        "engine": None,
        "knobs": {"2": 4},
        "implementation": None,
        "time_us": 12.0,
        "time_of": None,
        "trials": None,
        "calls": 20,
        "workspace_bytes": 1024,
        "status": "ok",
        "chosen": True,
        "source": "autotune",
        "evidence": "measured",
    }
    assert (second["chosen"], second["calls"], second["margin_us"]) == ("eng1", 5, None)


def test_equal_problem_numbers_of_two_libraries_stay_apart() -> None:
    trace = ledger(candidate(0, "a"), candidate(0, "b", library="oneDNN", device="/device:CPU:0"))
    assert len(algorithms.document(trace)["problems"]) == 2


def test_rows_that_say_little_or_nonsense_still_fit_the_contract() -> None:
    nothing = {"problem_id": 3, "status": "exploded", "direction": "sideways", "knobs": "[1", "problem": "{"}
    document = algorithms.document(ledger(nothing))
    check(document, "algorithms")
    [problem] = document["problems"]
    assert problem["problem"] == {"op": "(not known)", "direction": "other"}
    assert problem["candidates"][0]["status"] == "not_tried"
    assert (problem["chosen"], problem["calls"]) == (None, None)


def test_no_algorithms_are_no_problems() -> None:
    document = algorithms.document(ledger())
    check(document, "algorithms")
    assert document == {
        "trace": "(memory)",
        "synthetic": False,
        "settings": {},
        "selection": {"autotune": None, "deterministic": None},
        "problems": [],
        "advice": [],
    }


@pytest.mark.parametrize("time", [float("nan"), float("inf"), -3.0])
def test_what_is_no_time_never_wins_and_says_why(time: float) -> None:
    trace = ledger(
        candidate(0, "eng1", chosen=True, calls=1, time_us=5.0),
        candidate(0, "eng2", time_us=time, low_us=time, samples_us=[time, 4.0]),
        candidate(0, "eng3", time_us=9.0, workspace_bytes=0),
    )
    document = algorithms.document(trace)
    check(document, "algorithms")
    (problem,) = document["problems"]
    assert (problem["runner_up"], problem["margin_us"], problem["margin_percent"]) == ("eng3", 4.0, 80.0)
    none = next(c for c in problem["candidates"] if c["algorithm"] == "eng2")
    assert (none["time_us"], none["low_us"]) == (None, None)
    assert none["reason"] == f"its time, {time}, is none"
    frame = algorithms.ledger(trace).set_index("algorithm")
    assert frame.loc["eng2", "samples_us"] == [4.0]
    assert document["advice"] == []


def test_the_trade_off_leaves_out_what_another_beats_in_time_and_workspace() -> None:
    trace = ledger(
        candidate(0, "fast", chosen=True, calls=1, time_us=5.0, workspace_bytes=900),
        candidate(0, "small", time_us=7.0, workspace_bytes=10),
        candidate(0, "beaten", time_us=8.0, workspace_bytes=20),
        candidate(0, "failed", status="failed", time_us=None, workspace_bytes=0),
        candidate(0, "otherwise timed", time_us=1.0, time_of="call on the host", workspace_bytes=0),
    )
    (problem,) = algorithms.document(trace)["problems"]
    assert [(c["algorithm"], c["workspace_bytes"]) for c in problem["workspace_trade_off"]] == [
        ("fast", 900), ("small", 10),
    ]  # fmt: skip
    assert problem["runner_up"] == "small"


def test_times_of_two_clocks_are_not_compared() -> None:
    trace = ledger(
        candidate(0, "eng1", chosen=True, time_us=90.0, time_of="device"),
        candidate(0, "eng2", time_us=5.0, time_of="call on the host"),
    )
    (problem,) = algorithms.document(trace)["problems"]
    assert (problem["runner_up"], problem["margin_us"]) == (None, None)


def test_a_pick_that_was_not_the_fastest_is_the_advice_that_costs_most() -> None:
    trace = ledger(
        candidate(0, "slow", chosen=True, calls=100, time_us=12.0, total_us=1200.0, picked_by="heuristics"),
        candidate(0, "fast", time_us=9.5),
        candidate(1, "slow", chosen=True, calls=2, time_us=50.0, problem=json.dumps({"input": [1, 2, 2, 1]})),
        candidate(1, "fast", time_us=30.0, problem=json.dumps({"input": [1, 2, 2, 1]})),
    )
    first, second = algorithms.document(trace)["advice"]
    assert (first["kind"], first["chosen"], first["faster"]) == ("slower_pick", "slow", "fast")
    assert (first["loss_us"], first["cost_us"], first["picked_by"]) == (2.5, 250.0, "heuristics")
    assert (second["loss_us"], second["cost_us"]) == (20.0, 40.0)


def test_shapes_that_forced_a_tuning_each_are_named_in_their_order() -> None:
    def tuned(number: int, size: int, at: int, **more: Any) -> dict[str, Any]:
        problem = json.dumps({"input": [size, 8, 8, 3], "output": [size, 8, 8, 4], "filter": [3, 3, 3, 4]})
        told = {"tunings": 1, "retunes": 0, "tuning_us": 100.0, "first_ns": at, "problem": problem}
        return candidate(number, "eng1", chosen=True, calls=3, **told | more)

    other = json.dumps(
        {"input": [8, 8, 8, 3], "output": [8, 4, 4, 4], "filter": [3, 3, 3, 4], "strides": [2, 2]}
    )
    trace = ledger(
        tuned(0, 16, at=2),
        tuned(1, 32, at=1),
        tuned(2, 7, at=3, tunings=2, retunes=1),
        tuned(3, 8, at=0, problem=other),
    )
    advice = {a["kind"]: a for a in algorithms.document(trace)["advice"]}
    assert set(advice) == {"shape_changes", "retuned"}
    assert advice["shape_changes"]["shapes"] == [[32, 8, 8, 3], [16, 8, 8, 3], [7, 8, 8, 3]]
    assert (advice["shape_changes"]["retunes"], advice["shape_changes"]["cost_us"]) == (2, 200.0)
    assert (advice["retuned"]["retunes"], advice["retuned"]["cost_us"]) == (1, 50.0)


def test_how_algorithms_were_picked_is_told_from_settings_and_from_what_happened() -> None:
    def selection(env: dict[str, str], settings: dict[str, bool], **row: Any) -> dict[str, Any]:
        b = Builder(env=env, settings=settings)
        b.rows["algorithms"] = [candidate(0, "eng1", chosen=True, calls=1, **row)]
        document = algorithms.document(b.trace())
        return {"advice": [a["kind"] for a in document["advice"]], **document["selection"]}

    nothing = {"advice": [], "autotune": None, "deterministic": None}
    assert selection({}, {}) == nothing
    assert selection({}, {}, tunings=1) == nothing | {"autotune": True}
    off = selection({"TF_CUDNN_USE_AUTOTUNE": "0"}, {}, picked_by="heuristics")
    assert off == {"advice": ["untuned"], "autotune": False, "deterministic": None}
    assert selection({"TF_CUDNN_DETERMINISTIC": "1"}, {})["deterministic"] is True
    assert selection({}, {"op_determinism": True})["deterministic"] is True
    assert selection({}, {"op_determinism": False})["deterministic"] is False


def test_one_problem_has_one_key_in_any_trace_whatever_its_source_calls_it() -> None:
    told = {
        "input": [8, 32, 32, 3],
        "filter": [3, 3, 3, 4],
        "fused": ["BIAS"],
        "padding": "SAME",
        "layout": "NHWC",
    }
    log = ledger(candidate(0, "a", op="Conv2D", problem=json.dumps(told)))
    probe = ledger(
        candidate(0, "a", problem=json.dumps(told | {"fused": ["bias"], "padding": [[1, 1], [1, 1]]}))
    )
    keys = [algorithms.ledger(trace)["problem_key"].tolist() for trace in (log, probe)]
    assert keys[0] == keys[1]


def test_a_trace_of_an_earlier_format_lacks_columns_and_is_read_all_the_same(tmp_path: Path) -> None:
    write_tables(tmp_path, ledger(candidate(0, "eng1", chosen=True, calls=2)).tables)
    path = tmp_path / "algorithms.parquet"
    table = pq.read_table(path)
    pq.write_table(table.drop_columns([*ADDED["algorithms"]]), path)
    read = Trace(manifest={}, tables=LazyTables(tmp_path))
    (problem,) = algorithms.document(read)["problems"]
    assert (problem["chosen"], problem["calls"], problem["tunings"]) == ("eng1", 2, None)
    pq.write_table(table.drop_columns(["algorithm"]), path)
    with pytest.raises(InputError, match="no column algorithm"):
        algorithms.document(Trace(manifest={}, tables=LazyTables(tmp_path)))
