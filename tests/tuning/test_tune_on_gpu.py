"""The tuner's GPU path on the stand-in GPU: engines and settings are TensorFlow's own doing, times and values prove
nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import process
from tftrace.api import load

pytestmark = pytest.mark.tf

SPEC = "8,28,28,128:3,3,128,128"


@pytest.fixture(scope="module")
def tuning(
    standin_gpu: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    place = tmp_path_factory.mktemp("gpu")
    only = [
        "--only=cudnn",
        "--only=cudnn autotune=off",
        "--only=cudnn deterministic",
        "--only=cudnn engine=*",
    ]
    options = [*only, "-o", "t", "--budget", "180", "--pin", "p.sh", "--json"]
    done = process("tune", "--conv2d", SPEC, *options, cwd=place, **standin_gpu)
    assert done.code == 0, done.err
    return place, json.loads(done.out)


def by_name(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    (problem,) = document["problems"]
    assert problem["device"] == "/device:GPU:0"
    return {c["algorithm"]: c for c in problem["candidates"]}


def test_the_engine_of_each_setting_is_the_one_cudnn_was_told_to_run(
    tuning: tuple[Path, dict[str, Any]],
) -> None:
    found = by_name(tuning[1])
    assert found["cudnn"]["implementation"] == "eng2_k2=2_k14=0"  # the fastest of the stand-in's trials
    assert found["cudnn"]["library_call"]["picked_by"] == "autotuner"
    assert found["cudnn autotune=off"]["implementation"] != found["cudnn"]["implementation"]
    assert found["cudnn"]["workspace_bytes"] == 1048576
    tried = {t["engine"]: t["status"] for t in found["cudnn"]["tried"]}
    assert tried["2"] == "ok"
    assert "failed" in tried.values()


def test_each_other_engine_that_worked_is_forced(tuning: tuple[Path, dict[str, Any]]) -> None:
    found = by_name(tuning[1])
    forced = {name: c for name, c in found.items() if "engine=" in name}
    assert len(forced) == 3
    for name, candidate in forced.items():
        engine = name.partition("=")[2]
        assert candidate["library_call"]["engine"] == engine != "2"
        assert candidate["time_us"] is not None
        rules = json.loads(Path(candidate["settings"]["env"]["CUDNN_ERRATA_JSON_FILE"]).read_text())["rules"]
        assert int(engine) not in {rule["engine"] for rule in rules}


def test_a_timed_call_holds_many_ops_so_that_its_own_cost_is_little_of_an_op(
    tuning: tuple[Path, dict[str, Any]],
) -> None:
    for candidate in by_name(tuning[1]).values():
        assert candidate["ops_in_a_call"] == 16
        assert candidate["timed_calls"] >= 1


def test_what_a_stand_in_computes_is_not_exact_and_never_wins_and_is_synthetic(
    tuning: tuple[Path, dict[str, Any]],
) -> None:
    place, document = tuning
    assert document["synthetic"]
    assert document["problems"][0]["chosen"] is None
    assert not any(c["exact_enough"] for c in by_name(document).values())
    assert document["pin"]["env"] == {}
    assert "synthetic" in (place / "p.sh").read_text()
    assert load(place / "t").synthetic
