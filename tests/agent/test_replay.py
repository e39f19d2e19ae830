"""The replays' worker: every direction of a convolution against a reference that no library computed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tftrace.agent.contract import REPLAY_MARKER
from tftrace.capture.pool import Arrays, Pool
from tftrace.capture.settings import candidates, machine
from tftrace.capture.worker import Ended, Worker
from tftrace.ingest import replay_output
from tftrace.model.conv2d_spec import parse
from tftrace.tuning.request import as_replayed

pytestmark = pytest.mark.tf

SPECS = (
    "2,9,11,6:3,3,6,8",
    "2,9,11,6:3,2,6,8:2,1:1,2,0,1:float32:dilations=1,2",
    "2,9,11,6:3,3,6,8:2:VALID:float32:direction=backprop_input",
    "2,9,11,6:3,3,6,8:2:SAME:float32:direction=backprop_filter",
    "2,9,11,6:3,3,3,8",
    "2,9,11,6:3,3,1,12",
    "2,9,11,6:3,3,1,6:1:SAME:float32:direction=backprop_input",
    "2,9,11,6:3,3,1,6:1:SAME:float32:direction=backprop_filter",
    "2,9,11,6:3,3,6,8:fused=bias,leaky_relu",
    "2,9,11,6:3,3,6,8:1:SAME:float32:layout=NCHW:fused=bias",
)
PLAIN = {"layout": "NHWC", "dtype": "float32", "jit_compile": False, "unfused": False}


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    with Pool(sys.executable, tmp_path_factory.mktemp("raw"), 0) as pool:
        yield pool


@pytest.fixture(scope="module")
def worker(pool: Pool) -> Worker:
    made = pool.made({"plain": ({"TF_ENABLE_ONEDNN_OPTS": "1"}, "plain")}, 120)["plain"]
    assert isinstance(made, Worker)
    return made


def told(answer: dict[str, Any] | Ended) -> dict[str, Any]:
    assert isinstance(answer, dict), answer
    return answer


@pytest.mark.parametrize("text", SPECS)
def test_every_variant_gives_what_the_definition_gives(text: str, worker: Worker, tmp_path: Path) -> None:
    spec = parse(text)
    problem = as_replayed(spec, tmp_path)
    assert Arrays(problem, tmp_path, 1, 1 << 30).wait(60) is None
    here = replace(machine(), onednn=True, flags=frozenset(), gpus=())
    variants = {c.name: c for c in candidates(spec, here) if c.setting.name == "onednn"}
    assert {"onednn", "xla", "onednn dtype=bfloat16"} < set(variants)
    for name, candidate in variants.items():
        command = {"do": "prepare", "key": name, "problem": problem, "variant": dict(candidate.variant)}
        answer = told(worker.ask(command, 60))
        assert "error" not in answer, (name, answer)
        limit = 2**-7 if "bfloat16" in name else 2e-6
        assert answer["finite"]
        assert answer["max_relative_difference"] < limit, name
        calls = told(worker.ask({"do": "time", "key": name, "seconds": 0.001}, 60))["us"]
        assert calls
        assert min(calls) > 0
    assert told(worker.ask({"do": "drop"}, 60)) == {}
    assert "error" in told(worker.ask({"do": "time", "key": "onednn", "seconds": 0.001}, 60))


def test_a_wrong_result_is_a_large_difference(worker: Worker, tmp_path: Path) -> None:
    problem = as_replayed(parse("2,9,11,6:3,3,6,8"), tmp_path)
    assert Arrays(problem, tmp_path, 2, 1 << 30).wait(60) is None
    other = as_replayed(parse("2,9,11,6:3,3,6,8:1:SAME:float32:dilations=2"), tmp_path)
    answer = told(worker.ask({"do": "prepare", "key": "k", "problem": other, "variant": PLAIN}, 60))
    assert answer["max_relative_difference"] > 0.1


def test_settings_that_an_op_refuses_are_told_as_such(worker: Worker, tmp_path: Path) -> None:
    problem = as_replayed(parse("2,9,11,6:3,3,6,8:1:SAME:float64"), tmp_path)
    assert Arrays(problem, tmp_path, 1, 1 << 30).wait(60) is None
    variant = {**PLAIN, "dtype": "float64", "layout": "NCHW"}
    answer = told(worker.ask({"do": "prepare", "key": "k", "problem": problem, "variant": variant}, 60))
    assert answer["unsupported"]
    assert "only supports the NHWC" in answer["error"]


def test_a_fork_has_its_own_settings_and_prints_for_itself(pool: Pool, tmp_path: Path) -> None:
    problem = as_replayed(parse("2,9,11,6:3,3,6,8"), tmp_path)
    assert Arrays(problem, tmp_path, 1, 1 << 30).wait(60) is None
    env = {"TF_ENABLE_ONEDNN_OPTS": "1", "ONEDNN_VERBOSE": "1"}
    for isa, said in (("SSE41", "SSE4.1"), ("AVX", "AVX")):
        made = pool.made({isa: ({**env, "ONEDNN_MAX_CPU_ISA": isa}, isa)}, 120)[isa]
        assert isinstance(made, Worker)
        command = {
            "do": "recorded",
            "key": "1 a b",
            "problem": problem,
            "variant": PLAIN,
            "marker": REPLAY_MARKER,
        }
        assert told(made.ask(command, 60))["steady_us"] > 0
        made.end("done")
        output = replay_output.read(made.folder / "stdout.txt")
        assert output.isa is not None
        assert said in output.isa
        assert any(",convolution," in line for line in output.lines["1 a b"])


def test_memory_beyond_the_limit_is_an_error_and_not_the_end_of_others(tmp_path: Path) -> None:
    problem = as_replayed(parse("16,256,256,16:3,3,16,16"), tmp_path)
    assert Arrays(problem, tmp_path, 1, 1 << 32).wait(120) is None
    with Pool(sys.executable, tmp_path / "raw", 1 << 27) as pool:
        made = pool.made({"small": ({}, "small"), "other": ({}, "other")}, 120)
        small, other = made["small"], made["other"]
        assert isinstance(small, Worker)
        assert isinstance(other, Worker)
        answer = small.ask({"do": "prepare", "key": "k", "problem": problem, "variant": PLAIN}, 120)
        # NumPy and TensorFlow raise where they can; a library that cannot ends its process
        assert isinstance(answer, Ended) or not answer["unsupported"]
        assert other.ask({"do": "drop"}, 60) == {}
