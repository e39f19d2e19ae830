"""Every example runs under `tftrace run`, prints what it prints without it, and answers its own commands."""

from __future__ import annotations

import ast
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

import tftrace
from tftrace.cli import cli

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
TFTRACE = [sys.executable, "-c", "from tftrace.cli import main; main()"]

tensorflow = [
    pytest.mark.tf,
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("tensorflow") is None, reason="no TensorFlow in this environment"),
]


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(p for p in (str(ROOT), os.environ.get("PYTHONPATH")) if p)
    environment = dict(os.environ, PYTHONPATH=path, TF_CPP_MIN_LOG_LEVEL="2")
    environment.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # the same kernels on every processor
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def answer(*words: str) -> str:
    """What a command says of a trace; asked in this process, which has pandas already."""
    done = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return str(done.stdout)


def documented_commands(example: Path) -> list[list[str]]:
    """The `tftrace ..` lines in the example's docstring, as words after `tftrace`."""
    text = ast.get_docstring(ast.parse(example.read_text())) or ""
    lines = [line.strip() for line in text.splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("tftrace ")]


@pytest.fixture(scope="module")
def traced(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], tuple[Path, subprocess.CompletedProcess[str]]]:
    """Runs an example as its docstring says, once; gives the trace's directory and what the run printed."""
    done: dict[str, tuple[Path, subprocess.CompletedProcess[str]]] = {}
    base = tmp_path_factory.mktemp("traces")

    def of(name: str) -> tuple[Path, subprocess.CompletedProcess[str]]:
        if name not in done:
            first = documented_commands(ROOT / "examples" / f"{name}.py")[0]
            assert first == ["run", "-o", f"traces/{name}", f"examples/{name}.py"]
            done[name] = base / name, run([*TFTRACE, "run", "-o", str(base / name), first[-1]])
        return done[name]

    return of


def calls_of(trace: Path) -> pd.DataFrame:
    loaded = tftrace.load(trace)
    return loaded.calls.merge(loaded.sites, on="site_id")


def text_of(line: int, example: str) -> str:
    return (ROOT / "examples" / f"{example}.py").read_text().splitlines()[line - 1]


Traced = Callable[[str], tuple[Path, subprocess.CompletedProcess[str]]]


class TestExamples:
    pytestmark = tensorflow

    @pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
    def test_the_script_behaves_as_without_tftrace(self, example: Path, traced: Traced) -> None:
        bare = run([sys.executable, str(example)])
        _, under = traced(example.stem)
        assert bare.returncode == 0, bare.stderr
        assert under.returncode == 0, under.stderr
        assert under.stdout == bare.stdout

    @pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
    def test_the_commands_in_the_docstring_answer(self, example: Path, traced: Traced) -> None:
        trace, _ = traced(example.stem)
        for words in documented_commands(example)[1:]:
            assert f"traces/{example.stem}" in words
            words = [str(trace) if word == f"traces/{example.stem}" else word for word in words]
            assert answer(*words).strip()

    def test_eager_conv2d_ends_in_the_library(self, traced: Traced) -> None:
        trace, _ = traced("eager_conv2d")
        (match,) = json.loads(answer("why", "conv2d", str(trace), "--json"))["groups"]
        assert match["count"] == 5
        assert "tf.nn.conv2d" in text_of(match["python"]["line"], "eager_conv2d")
        layers: dict[str, dict[str, Any]] = {entry["layer"]: entry for entry in match["chain"]}
        assert layers["library"]["name"]
        assert layers["stream_executor"]["name"] is None
        assert layers["stream_executor"]["reason"]

    def test_tf_function_knows_the_maker_and_the_runner(self, traced: Traced) -> None:
        trace, _ = traced("tf_function")
        matches = json.loads(answer("why", "kernel:*FusedConv2D", str(trace), "--json"))["groups"]
        made = {text_of(m["python"]["line"], "tf_function").strip() for m in matches if m["python"]}
        ran = {text_of(m["caller"]["line"], "tf_function").strip() for m in matches if m["caller"]}
        assert made == {'features = tf.nn.conv2d(images, filters, strides=1, padding="SAME")'}
        inside = {text_of(f["python"]["line"], "tf_function").strip() for m in matches for f in m["fused"]}
        assert "return tf.nn.relu(shifted)" in inside
        assert ran == {"active = block(images, filters, bias)"}
        assert {m["count"] for m in matches} == {5}

    def test_keras_training_has_gradients_of_the_fit_line(self, traced: Traced) -> None:
        trace, _ = traced("keras_training")
        calls = calls_of(trace)
        # both layers have a filter gradient, the second one an input gradient as well; 16 steps
        assert (calls.op == "Conv2DBackpropFilter").sum() == 32
        assert (calls.op == "Conv2DBackpropInput").sum() == 16
        ran = calls[(calls["mode"] == "function") & calls.node.isna()]
        assert any("model.fit" in text_of(int(line), "keras_training") for line in ran.python_line.dropna())

    def test_v1_session_runs_are_steps(self, traced: Traced) -> None:
        trace, _ = traced("v1_session")
        calls = calls_of(trace)
        conv = calls[calls.op == "Conv2D"]
        assert len(conv) == 5
        assert set(conv["mode"]) == {"session"}
        assert "v1.nn.conv2d" in text_of(int(conv.python_line.iloc[0]), "v1_session")


def test_every_example_says_how_to_trace_it() -> None:
    assert len(EXAMPLES) >= 6
    for example in EXAMPLES:
        commands = documented_commands(example)
        assert commands[0][0] == "run"
        assert len(commands) > 1


def test_the_recorded_trace_is_small_and_complete() -> None:
    trace = ROOT / "traces" / "examples" / "eager_conv2d"
    assert sum(file.stat().st_size for file in trace.rglob("*") if file.is_file()) < 300_000
    calls = calls_of(trace)
    assert (calls.op == "Conv2D").sum() == 5
    assert "tf.nn.conv2d" in text_of(int(calls[calls.op == "Conv2D"].python_line.iloc[0]), "eager_conv2d")


def test_the_recorded_trace_can_be_rebuilt_from_its_raw_records(tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "trace"
    shutil.copytree(ROOT / "traces" / "examples" / "eager_conv2d", copy)
    before = calls_of(copy)
    for table in copy.glob("*.parquet"):
        table.unlink()
    after = calls_of(copy)
    assert list(after.op) == list(before.op)
    assert list(after.total_ns) == list(before.total_ns)


def test_the_notebook_runs(tmp_path: Path) -> None:
    pytest.importorskip("nbmake", reason="nbmake is not installed")
    done = run([sys.executable, "-m", "pytest", "-q", "--nbmake", "notebooks", "-p", "no:cacheprovider"])
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
