"""The promise of the whole: `why conv2d` on a real run, in every mode, down to the primitive and its implementation."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from tests.capture.running import SCRIPTS
from tests.views.browser import chromium, opened
from tftrace.cli import cli
from tftrace.model.layers import LAYERS
from tftrace.model.trace import Trace

pytestmark = [pytest.mark.tf, pytest.mark.slow]
CONTRACTS = Path(__file__).parent / "contracts"
SCRIPT = SCRIPTS / "modes.py"
LINE = {
    line.rpartition("# ")[2].strip(): number
    for number, line in enumerate(SCRIPT.read_text().splitlines(), 1)
    if "# " in line
}


@pytest.fixture(scope="module")
def trace(recorded: Callable[..., Trace]) -> Trace:
    return recorded("modes.py")


def document(*arguments: str) -> dict[str, Any]:
    done = CliRunner().invoke(cli, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return dict(json.loads(done.stdout))


def valid(name: str, value: dict[str, Any]) -> None:
    schema = json.loads((CONTRACTS / f"{name}.schema.json").read_text())
    errors = sorted(Draft202012Validator(schema).iter_errors(value), key=str)
    assert not errors, errors[0]


@pytest.fixture(scope="module")
def groups(trace: Trace) -> dict[str, dict[str, Any]]:
    answer = document("why", "conv2d", str(trace.path), "--json")
    valid("why", answer)
    by_mode = {group["mode"]: group for group in answer["groups"]}
    assert len(by_mode) == len(answer["groups"]), "one group a mode"
    return by_mode


@pytest.mark.parametrize(("mode", "count"), [("eager", 20), ("function", 5), ("session", 3), ("xla", 5)])
def test_every_execution_is_found_on_its_line(
    groups: dict[str, dict[str, Any]], mode: str, count: int
) -> None:
    group = groups[mode]
    assert group["count"] == count
    assert Path(group["python"]["file"]).name == "modes.py"
    assert group["python"]["line"] == LINE[mode]
    if mode == "eager":
        assert group["caller"] is None
    else:
        assert group["caller"]["line"] == LINE[f"runs {mode}"]


def test_a_graph_is_told_with_the_line_that_made_it_and_a_session_with_the_line_that_opened_it(
    groups: dict[str, dict[str, Any]], trace: Trace
) -> None:
    assert (groups["eager"]["made_in"], groups["eager"]["sessions"]) == (None, [])
    made = {mode: groups[mode]["made_in"] for mode in ("function", "xla", "session")}
    assert {mode: graph["python"]["line"] for mode, graph in made.items()} == {
        "function": LINE["runs function"], "xla": LINE["runs xla"], "session": LINE["session's graph"],
    }  # fmt: skip
    assert len({graph["graph_id"] for graph in made.values()}) == 3
    (session,) = groups["session"]["sessions"]
    assert (session["count"], session["graph_id"]) == (3, made["session"]["graph_id"])
    assert session["python"]["line"] == LINE["opens"]
    assert session["session_id"] == trace.manifest["sessions"][0]["session_id"]
    assert groups["function"]["sessions"] == groups["xla"]["sessions"] == []


@pytest.mark.parametrize("mode", ["eager", "function", "session"])
def test_the_chain_goes_down_to_the_primitive(groups: dict[str, dict[str, Any]], mode: str) -> None:
    group = groups[mode]
    chain = {entry["layer"]: entry for entry in group["chain"]}
    assert list(chain) == list(LAYERS)
    assert chain["api"]["name"] == "tf.nn.conv2d"
    assert chain["gen_op"]["name"] == "gen_nn_ops.conv2d"
    assert "gen_nn_ops.py:" in chain["gen_op"]["where"]
    assert chain["runtime"]["name"] in ("TFE_Py_FastPathExecute", "TFE_Py_Execute", "TF_SessionRun")
    assert chain["kernel"]["name"].startswith("Conv2D:")
    assert chain["stream_executor"]["name"] is None
    assert "GPU" in chain["stream_executor"]["reason"]
    assert chain["library"]["name"] == "convolution"
    assert chain["device"]["name"] is not None
    assert group["library"]["name"] == "oneDNN"
    assert group["library"]["implementation"]
    assert group["library"]["algorithm"].startswith("convolution_")
    problem = group["library"]["problem"]
    assert (problem["input"], problem["filter"]) == ([1, 8, 8, 8], [3, 3, 8, 8])


@pytest.mark.parametrize("mode", ["eager", "function", "session"])
def test_kernel_and_library_are_measured_by_the_native_stack(
    groups: dict[str, dict[str, Any]], mode: str
) -> None:
    chain = {entry["layer"]: entry for entry in groups[mode]["chain"]}
    assert chain["kernel"]["evidence"] == "measured"
    assert chain["library"]["evidence"] == "measured"
    functions = [frame["function"] for frame in groups[mode]["native_stack"] if frame["kind"] == "native"]
    assert any(f.endswith("MklConvOp::Compute") for f in functions)
    assert any("Executor" in f for f in functions)
    # what runs a node was found by the node's name: that hop stays a weaker one
    assert chain["runtime"]["evidence"] == ("measured" if mode == "eager" else "inferred")


def test_xla_shows_its_own_kernel_of_the_node(groups: dict[str, dict[str, Any]]) -> None:
    chain = {entry["layer"]: entry for entry in groups["xla"]["chain"]}
    assert chain["kernel"]["name"].startswith("Conv2D")
    assert chain["kernel"]["total_us"] > 0


def test_every_document_keeps_its_contract(trace: Trace) -> None:
    path = str(trace.path)
    for by in ("op", "layer", "line", "kernel", "step"):
        valid("summary", document("summary", path, "--by", by, "--json"))
    valid("algorithms", document("algorithms", path, "--json"))
    valid("manifest", json.loads((Path(path) / "manifest.json").read_text()))


def test_ops_without_a_generated_wrapper_are_listed(trace: Trace) -> None:
    (process,) = trace.manifest["processes"]
    assert process["without_wrapper"]["ReadVariableOp"] == 20  # read by each eager conv2d for itself


@pytest.mark.browser
def test_the_timeline_of_a_real_run(trace: Trace, tmp_path: Path) -> None:
    page_path = tmp_path / "page.html"
    done = CliRunner().invoke(cli, ["view", str(trace.path), "-o", str(page_path)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    with chromium() as browser, opened(browser, page_path) as opening:
        opening.until("document.documentElement.dataset.ready")
        opening.page.keyboard.press("/")
        opening.page.keyboard.type("tf.nn.conv2d")
        opening.page.keyboard.press("Enter")
        opening.until(
            "document.body.innerText.includes('CHAIN') || document.body.innerText.includes('Chain')"
        )
        text = opening.page.inner_text("body")
        assert "gen_nn_ops.conv2d" in text
        assert "modes.py" in text
        assert opening.complaints() == []
