"""The ledger of problems, candidates and what was chosen."""

from __future__ import annotations

import json
from typing import Any

from tests.analysis.contracts import check
from tests.views.traces import Builder
from tftrace.analysis import algorithms
from tftrace.model.trace import Trace


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
               "confidence")  # fmt: skip
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
    assert document == {"trace": "(memory)", "synthetic": False, "settings": {}, "problems": [], "advice": []}
