"""What NVIDIA's own library predicts: equal to lists that were recorded from it, and to what TensorFlow tunes over."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from docs import generate
from tests.capture.running import environment, run
from tests.cli.running import ROOT
from tests.standin_gpu.build import SCRIPTS
from tests.standin_gpu.real_cudnn.build import PROPERTIES, VERSION
from tftrace.analysis import algorithms, prediction
from tftrace.api import load
from tftrace.capture.cudnn_install import Install, find
from tftrace.capture.cudnn_questions import Question, ask, assuming_cublaslt
from tftrace.capture.gpu_properties import Gpu, gpu, names
from tftrace.ingest.cudnn.heuristics import read_offers
from tftrace.model.conv2d_spec import Conv2dSpec, parse
from tftrace.model.trace import Trace

pytestmark = pytest.mark.real_cudnn

DIRECTION = {"FORWARD": "forward", "BACKWARD_DATA": "backprop_input", "BACKWARD_FILTER": "backprop_filter"}
DTYPE = {"FLOAT": "float32", "HALF": "float16"}
GPU_OF = {"sm70": "v100", "sm80": "a100", "sm90": "h100", "sm100": "b200"}
RECORDED_ALIGNMENT = 16
HEAD = re.compile(
    r"HEUR_MODE_(?P<mode>\w+): (?P<count>\d+) configs \((?P<sm>sm\d+) .* (?P<direction>FORWARD|BACKWARD_\w+)"
    r" (?P<dtype>\w+) (?P<layout>N\w+) \[(?P<sizes>[\d, ]+)\]\)"
)


@pytest.fixture(scope="module")
def cudnn(cudnn_packages: Path) -> Install:
    return find(str(cudnn_packages))


def lists(path: Path) -> tuple[Conv2dSpec, str, dict[str, list[dict[str, Any]]]]:
    """(the convolution, the GPU, mode -> configurations) of a recorded list."""
    found: dict[str, list[dict[str, Any]]] = {}
    told: dict[str, str] = {}
    for line in path.read_text().splitlines():
        if head := HEAD.fullmatch(line):
            told = head.groupdict()
            found[told["mode"]] = []
        elif line.startswith("  #"):
            found[told["mode"]].append(json.loads(line.split(" ", 3)[3]))
    n, c, h, w, k, r, s, pad, stride = (int(part) for part in told["sizes"].split(","))
    spec = parse(
        f"{n},{h},{w},{c}:{r},{s},{c},{k}:{stride}:{pad}:{DTYPE[told['dtype']]}"
        f":layout={told['layout']}:direction={DIRECTION[told['direction']]}"
    )
    return spec, GPU_OF[told["sm"]], found


RECORDED = [
    f"heur_{sm}_{direction}_{dtype}.txt" for sm in GPU_OF for direction in DIRECTION for dtype in DTYPE
]


@pytest.mark.parametrize("name", RECORDED)
def test_the_list_is_the_recorded_one(name: str, cudnn: Install, shared_data: Path) -> None:
    spec, named, recorded = lists(shared_data / "cudnn9_genuine" / "heuristics" / name)
    assert sum(map(len, recorded.values())) > 9
    for mode, configs in recorded.items():
        (reply,) = ask(cudnn, [Question(spec, gpu(named), RECORDED_ALIGNMENT, (mode,))])
        assert reply.version == 92800
        offers = read_offers(reply.line or "").offers
        got = [(o.engine, o.knobs, list(o.notes), o.workspace_bytes) for o in offers]
        wanted = [
            (c["engine"], c["knobs"], c["numerical_note"] + c["behavior_note"], c["workspace"])
            for c in configs
        ]
        # a list may name one configuration twice; its second mention is dropped
        assert got == [one for at, one in enumerate(wanted) if one not in wanted[:at]]
        assert not any(offer.refused for offer in offers)


def test_the_version_is_that_of_the_packages(cudnn: Install) -> None:
    assert cudnn.version == VERSION


def test_all_named_gpus_are_known_to_it(cudnn: Install) -> None:
    replies = ask(
        cudnn, [Question(parse("8,56,56,64:3,3,64,64:1:SAME:float16"), gpu(name)) for name in names()]
    )
    engines = [tuple(o.engine for o in read_offers(r.line or "").offers) for r in replies]
    assert all(engines)
    assert len(set(engines)) == len(names())  # each architecture has a list of its own


def test_the_numbers_of_the_child_are_those_of_the_header(cudnn_packages: Path) -> None:
    from tftrace.capture import cudnn_child

    header = (cudnn_packages / "nvidia" / "cudnn" / "include" / "cudnn_graph_v9.h").read_text()
    told = {name: int(number) for name, number in re.findall(r"\b(CUDNN_\w+)\s*=\s*(\d+)", header)}
    for prefix, table in (("ATTR_", cudnn_child.ATTRIBUTE), ("TYPE_", cudnn_child.TYPE)):
        assert {name: told[f"CUDNN_{prefix}{name}"] for name in table} == table
    descriptors = cudnn_child.DESCRIPTOR
    assert {name: told[f"CUDNN_BACKEND_{name}_DESCRIPTOR"] for name in descriptors} == descriptors


PAGE = "docs/predict.md"
BLOCKS = [b for b in generate.blocks(PAGE, (ROOT / PAGE).read_text()) if b.kind == "cudnn"]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda b: b.command)
def test_the_page_shows_what_the_command_prints(
    block: generate.Block, cudnn_packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(cudnn_packages))
    printed = generate.fenced(generate.output_of(block.command))
    assert block.body == printed, "run 'python docs/generate.py --cudnn'"


@pytest.fixture(scope="module")
def ran(real_cudnn: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Trace]:
    """The trace of a script on the stand-in GPU with NVIDIA's cuDNN."""

    def record(script: str) -> Trace:
        place = tmp_path_factory.mktemp(script) / "trace"
        done = run(SCRIPTS / f"{script}.py", traced_to=place, env=environment(**real_cudnn))
        assert done.exit_status == 0, done.stderr.decode()
        return load(place)

    return record


@pytest.mark.tf
@pytest.mark.slow
@pytest.mark.parametrize("script", ["eager_conv", "half", "gradient", "fused"])
def test_tensorflow_tunes_over_what_was_predicted(
    script: str, ran: Callable[[str], Trace], cudnn: Install
) -> None:
    trace = ran(script)
    here = Gpu("a100", json.loads(PROPERTIES.read_text()))
    specs, _ = prediction.specs_of(trace)
    # TensorFlow runs with the stand-in's cuBLASLt, which starts as it does with a GPU
    asked = ask(assuming_cublaslt(cudnn), [Question(spec, here) for spec in specs])
    document = prediction.document(asked, trace)
    offered = {
        row["problem_key"]: {
            c["algorithm"]
            for c in row["candidates"]
            if c["status"] == "not_tried" and c["heuristic"] != "FALLBACK"
        }
        for row in document["problems"]
    }
    tuned = 0
    for problem in algorithms.document(trace)["problems"]:
        # by cuDNN's own calls: TensorFlow cuts its log where it is long
        tried = {
            c["algorithm"] for c in problem["candidates"] if "cudnn_probe" in c["source"] and c["trials"]
        }
        if tried:
            tuned += 1
            assert tried == offered[problem["problem_key"]], problem["problem_key"]
            assert len(tried) > 10
    assert tuned == len(specs)
