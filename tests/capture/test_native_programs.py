"""A program without Python that calls TensorFlow's C API, built here against the wheel's own libraries and headers."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.capture.running import SCRIPTS, TFTRACE, Finished, environment, without_stamps
from tests.capture.running import run as run_script
from tftrace.api import load
from tftrace.capture import native
from tftrace.model.trace import Trace

pytestmark = [pytest.mark.tf, pytest.mark.slow]

SOURCE = Path(__file__).parent / "programs" / "conv2d.c"
Run = Callable[..., tuple[Finished, Path]]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = importlib.util.find_spec("tensorflow")
    compiler = native.compiler()
    if spec is None or not spec.submodule_search_locations or compiler is None:
        pytest.skip("needs TensorFlow's wheel and a C compiler")
    wheel = Path(next(iter(spec.submodule_search_locations)))
    libraries = [wheel / "libtensorflow_cc.so.2", wheel / "libtensorflow_framework.so.2"]
    if not all(library.is_file() for library in libraries):
        pytest.skip(f"{wheel} has no libtensorflow_cc.so.2 of its own")
    target = tmp_path_factory.mktemp("program") / "conv2d"
    subprocess.run(
        [compiler, f"-I{wheel / 'include'}", SOURCE, "-o", target, *libraries, f"-Wl,-rpath,{wheel}"],
        check=True,
    )
    return target


@pytest.fixture(scope="module")
def traced(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    def run(*arguments: str, options: tuple[str, ...] = ()) -> tuple[Finished, Path]:
        place = tmp_path_factory.mktemp("native") / "trace"
        line = [*TFTRACE, "run", "--quiet", "-o", str(place), *options, "--native", str(program), *arguments]
        done = subprocess.run(line, capture_output=True, env=environment(), timeout=180)
        return Finished(done.returncode, done.stdout, done.stderr), place

    return run


@pytest.fixture(scope="module")
def eager(traced: Run) -> tuple[Finished, Trace]:
    done, place = traced("eager", "3", "7")
    return done, load(place)


def group(place: Path, pattern: str) -> Any:
    done = subprocess.run([*TFTRACE, "why", pattern, str(place), "--json"], capture_output=True, check=True)
    (found,) = json.loads(done.stdout)["groups"]
    return found


def test_program_prints_and_ends_as_without_tftrace(program: Path, eager: tuple[Finished, Trace]) -> None:
    plain = subprocess.run([program, "eager", "3", "7"], capture_output=True, env=environment())
    done, _ = eager
    assert (done.exit_status, done.stdout) == (plain.returncode, plain.stdout) == (7, b"begins\n3 done\n")


def test_eager_convolution_has_its_chain_from_the_c_api_to_the_device(eager: tuple[Finished, Trace]) -> None:
    _, trace = eager
    assert trace.path is not None
    found = group(trace.path, "conv2d")
    chain = {entry["layer"]: entry for entry in found["chain"]}
    assert (found["op"], found["mode"], found["count"]) == ("Conv2D", "native", 3)
    assert found["shapes"] == [[2, 16, 16, 8], [3, 3, 8, 16]]
    for layer in ("python", "api", "gen_op"):
        assert (chain[layer]["name"], chain[layer]["reason"]) == (None, "there is no Python in that process")
    assert chain["runtime"]["name"] == "TFE_Execute"
    assert (chain["kernel"]["name"], chain["kernel"]["evidence"]) == ("Conv2D:MklConvOp", "measured")
    assert (chain["library"]["name"], chain["library"]["evidence"]) == ("convolution", "measured")
    assert chain["device"]["name"] is not None
    assert re.search("brg_conv|jit|ref|gemm", found["library"]["implementation"])


def test_native_stack_reaches_from_main_to_the_primitive_without_tftrace(
    eager: tuple[Finished, Trace],
) -> None:
    _, trace = eager
    assert trace.path is not None
    names = [frame["function"] for frame in group(trace.path, "conv2d")["native_stack"]]
    at = {name: names.index(name) for name in ("main", "TFE_Execute", "dnnl_primitive_execute")}
    assert at["main"] > at["TFE_Execute"] > at["dnnl_primitive_execute"]
    assert not any("hook_" in name or "tft_" in name for name in names)


def test_manifest_says_what_the_process_was(eager: tuple[Finished, Trace]) -> None:
    _, trace = eager
    (process,) = trace.manifest["processes"]
    assert (process["main"], process["finished"], process["argv"][1:]) == (True, True, ["eager", "3", "7"])
    states = {probe["name"]: (probe["status"], probe["events"]) for probe in trace.manifest["probes"]}
    assert states["dispatch"] == ("ok", 3)
    assert states["itt"][0] == states["onednn"][0] == "ok"
    assert "no Python" in next(p["reason"] for p in trace.manifest["probes"] if p["name"] == "graph")
    assert trace.manifest["versions"]["tensorflow"]
    assert trace.manifest["versions"]["onednn"]
    assert trace.manifest["problems"] == []


def test_node_of_a_session_has_its_chain_by_the_log_of_the_executors(program: Path, traced: Run) -> None:
    done, place = traced("session", "3")
    assert done.exit_status == 0, done.stderr.decode()
    plain = subprocess.run([program, "session", "3"], capture_output=True, env=environment())
    assert (done.stdout, without_stamps(done.stderr)) == (plain.stdout, without_stamps(plain.stderr))
    run, node = group(place, "session.run"), group(place, "conv2d")
    assert (run["mode"], run["count"], run["op_attrs"]) == ("native", 3, {"fetches": ["convolved"]})
    assert (node["mode"], node["count"], node["node"]) == ("native", 3, "convolved")
    assert node["shapes"] == [[2, 16, 16, 8], [3, 3, 8, 16]]
    chain = {entry["layer"]: entry for entry in node["chain"]}
    assert chain["runtime"]["name"] == "TF_SessionRun"
    assert (chain["kernel"]["name"], chain["kernel"]["evidence"]) == (
        "convolved:_MklNativeConv2D",
        "measured",
    )
    assert (chain["library"]["name"], chain["library"]["evidence"]) == ("convolution", "measured")


def test_kernel_of_a_session_is_known_by_its_class_alone_without_that_log(traced: Run) -> None:
    _, place = traced("session", "1", options=("--no-executor-log",))
    chain = {entry["layer"]: entry for entry in group(place, "session.run")["chain"]}
    # which node it was is on no stack: it is joined by time
    assert (chain["kernel"]["name"], chain["kernel"]["evidence"]) == (
        "(node not known):MklConvOp",
        "inferred",
    )
    assert chain["library"]["name"] == "convolution"


def test_program_that_is_aborted_leaves_its_records(traced: Run) -> None:
    done, place = traced("eager", "3", "abort")
    assert done.exit_status == 134
    trace = load(place)
    assert len(trace.calls) == 3
    assert trace.manifest["processes"][0]["missing"] == (
        "the process ended suddenly: what it had not written is missing"
    )


def test_shell_that_the_program_starts_leaves_no_records_and_no_word(traced: Run) -> None:
    done, place = traced("eager", "1", "shell")
    assert (done.exit_status, sorted(done.stdout.split(b"\n"))) == (
        0,
        [b"", b"1 done", b"begins", b"from a shell"],
    )
    assert len(list((place / "raw").iterdir())) == 1


def test_program_that_a_script_starts_prints_what_it_prints_by_itself(program: Path, tmp_path: Path) -> None:
    """Its oneDNN inherits no variable that has it print on the script's stdout."""
    line = (SCRIPTS / "starts_program.py", str(program), "eager", "2")
    plain, traced = run_script(*line), run_script(*line, traced_to=tmp_path / "trace")
    assert traced.exit_status == 0, traced.stderr.decode()
    assert traced.stdout == plain.stdout == b"[]\nbegins\n2 done\n" * 2
    trace = load(tmp_path / "trace")
    calls = trace.events[(trace.events.layer == "library") & (trace.events.name == "convolution")]
    by_process = Counter(calls.pid)
    assert sorted(by_process.values()) == [1, 2, 2]
    # the script's own is asked all the same
    (own,) = (p["pid"] for p in trace.manifest["processes"] if p["main"])
    assert by_process[own] == 1
    assert '"implementation"' in calls[calls.pid == own]["attrs"].iloc[0]


def test_primitives_come_without_problem_where_onednn_is_not_asked(traced: Run) -> None:
    _, place = traced("eager", "1", options=("--no-onednn",))
    found = group(place, "conv2d")
    assert (found["library"]["call"], found["library"]["implementation"]) == ("convolution", None)


def test_device_is_told_only_where_work_was_seen_on_it(eager: tuple[Finished, Trace], traced: Run) -> None:
    _, trace = eager
    assert trace.path is not None
    assert group(trace.path, "conv2d")["device"] == "/device:CPU:0"
    _, place = traced("eager", "1", options=("--no-itt", "--no-onednn"))
    assert group(place, "conv2d")["device"] is None


def test_missing_program_and_module_are_told(tmp_path: Path) -> None:
    for more, text in (((), "no such program"), (("-m",), "neither -m nor --python")):
        line = [*TFTRACE, "run", "--native", *more, "./nothing-here"]
        done = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 2
        assert text in done.stderr
        assert list(tmp_path.iterdir()) == []


def test_program_of_the_path_is_found_and_may_run_no_tensorflow(tmp_path: Path) -> None:
    assert shutil.which("echo")
    line = [*TFTRACE, "run", "--native", "-o", str(tmp_path / "trace"), "echo", "hello"]
    done = subprocess.run(line, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "hello\n")
    assert "no TensorFlow op was executed" in done.stderr
    assert list((tmp_path / "trace" / "raw").iterdir()) == []
