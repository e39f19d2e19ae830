"""Tuning for real: TensorFlow's own convolutions, in processes of their own, with settings that crash or hang among
them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.ingest.test_onednn_verbose import FORWARD
from tftrace.analysis import tuned
from tftrace.analysis.replayable import Wanted
from tftrace.api import load
from tftrace.capture.settings import limits, machine
from tftrace.correlate.imported import import_files
from tftrace.errors import UsageError
from tftrace.ingest.onednn_verbose import parse_line
from tftrace.model.conv2d_spec import parse
from tftrace.tuning import TuneRequest, offered, tune
from tftrace.views import settings_file

pytestmark = pytest.mark.tf

ROOT = Path(__file__).resolve().parents[2]
RESNET = ("8,56,56,64:3,3,64,64", "8,28,28,128:3,3,128,128", "8,14,14,1024:1,1,1024,256")
SMALL = "2,12,12,16:3,3,16,16"
FAMILIES = (
    "onednn",
    "onednn layout=NCHW",
    "onednn dtype=bfloat16",
    "onednn math=bf16",
    "xla",
    "eigen",
    "onednn threads=1",
)


def request(*specs: str, **more: Any) -> TuneRequest:
    return TuneRequest(wanted=[Wanted(parse(text)) for text in specs], **{"budget_s": 60.0, **more})


def documents(place: Path, *specs: str, **more: Any) -> dict[str, Any]:
    outcome = tune(request(*specs, output=place, **more))
    assert not outcome.stopped
    return tuned.document(load(outcome.directory))


def by_name(problem: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {c["algorithm"]: c for c in problem["candidates"]}


def no_process_is_left(below: Path) -> bool:
    """Whether no replay has a file below that folder open any more: that is where its output goes."""
    for fd in Path("/proc").glob("[0-9]*/fd/[12]"):
        try:
            target = os.readlink(fd)
        except OSError:
            continue
        if target.startswith(str(below)):
            return False
    return True


needs_avx512 = pytest.mark.skipif(
    "AVX512_CORE" not in limits(machine()), reason="needs a processor with AVX-512"
)


@pytest.mark.slow
@needs_avx512
def test_resnets_shapes_are_ranked_the_same_twice_and_by_what_onednn_prints(tmp_path: Path) -> None:
    first, second = (documents(tmp_path / name, *RESNET, budget_s=38.0) for name in ("first", "second"))
    apart = 0
    for one, other in zip(first["problems"], second["problems"], strict=True):
        assert one["spec"] == other["spec"]
        ranked = [c for c in one["candidates"] if c["rank"] is not None]
        assert len(ranked) >= 6
        assert [c["time_us"] for c in ranked] == sorted(c["time_us"] for c in ranked)
        assert len({c["implementation"] for c in ranked}) >= 4
        assert all(c["low_us"] <= c["time_us"] <= c["high_us"] for c in ranked if c["low_us"] is not None)
        assert sum(c["low_us"] is not None for c in ranked) >= 6
        if not one["tied"] and not other["tied"]:
            apart += 1
            assert one["chosen"] == other["chosen"]
        for c in by_name(one).values():
            if c["implementation"] is not None:
                assert parse_line(c["printed"]).implementation == c["implementation"]  # type: ignore[union-attr]
        assert (
            by_name(one)["onednn isa=AVX2"]["implementation"]
            == printed_by_a_plain_script("AVX2")[one["spec"]]
        )
    assert apart >= 1
    assert no_process_is_left(tmp_path)


@cache
def printed_by_a_plain_script(isa: str) -> dict[str, str]:
    """Spec -> the implementation on the line that oneDNN prints for it in a script without tftrace."""
    specs = [parse(text) for text in RESNET]
    script = "import os, tensorflow as tf\n"
    for conv in specs:
        script += f"x, w = tf.ones({conv.input}), tf.ones({conv.filter}); os.write(1, b'# {conv}\\n')\n"
        script += f"tf.nn.conv2d(x, w, {conv.strides[0]}, '{conv.padding}')\n"
    env = {**os.environ, "ONEDNN_VERBOSE": "1", "ONEDNN_MAX_CPU_ISA": isa, "TF_ENABLE_ONEDNN_OPTS": "1"}
    out = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True
    ).stdout
    found, spec = {}, ""
    for text in out.splitlines():
        line = parse_line(text)
        if text.startswith("# "):
            spec = text[2:]
        elif line is not None and line.kind == "exec" and line.primitive == "convolution":
            found[spec] = str(line.implementation)
    return found


@needs_avx512
def test_every_family_is_tried_and_checked_and_the_trace_is_one_like_any_other(tmp_path: Path) -> None:
    found = documents(
        tmp_path / "t", SMALL, f"{SMALL}:fused=bias,relu", only=(*FAMILIES, "eigen *", "onednn unfused")
    )
    plain, fused = (by_name(p) for p in found["problems"])
    for name in FAMILIES:
        if name != "onednn threads=1" or machine().cpus > 1:
            assert plain[name]["status"] == "ok", plain[name]
            assert plain[name]["exact_enough"] is True
    assert (
        plain["onednn"]["max_relative_difference"]
        < 1e-5
        < plain["onednn dtype=bfloat16"]["max_relative_difference"]
    )
    assert plain["onednn math=bf16"]["max_relative_difference"] > 1e-5
    assert (plain["eigen layout=NCHW"]["status"], plain["eigen"]["implementation"]) == ("unsupported", None)
    assert "NHWC" in plain["eigen layout=NCHW"]["reason"]
    assert "eltwise_relu" in fused["onednn"]["printed"]
    assert "eltwise_relu" not in fused["onednn unfused"]["printed"]
    trace = load(tmp_path / "t")
    assert (len(trace.events), len(trace.calls)) == (0, 0)
    assert set(trace.algorithms["source"]) == {"tune"}
    # the tables are made from raw/ alone
    before = trace.algorithms
    for file in [*(tmp_path / "t").glob("*.parquet"), tmp_path / "t" / "manifest.json"]:
        file.unlink()
    assert load(tmp_path / "t").algorithms.equals(before)


@needs_avx512
def test_limits_that_come_to_the_same_are_said_to_and_not_timed(tmp_path: Path) -> None:
    (problem,) = documents(tmp_path / "t", SMALL, only=("onednn", "onednn isa=AVX512*"))["problems"]
    found = by_name(problem)
    same = {name: c["same_as"] for name, c in found.items() if c["same_as"]}
    assert "onednn" in same.values()
    for name, other in same.items():
        assert found[name]["implementation"] == found[other]["implementation"]
        assert (found[name]["status"], found[name]["time_us"]) == ("not_tried", None)
        assert found[name]["reason"] == f"oneDNN runs the same as for {other}"


def faulty(tmp_path: Path, when: str, what: str) -> str:
    """An interpreter that runs `what`, a line of Python, in processes whose environment has the variable `when`."""
    name, _, value = when.partition("=")
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import os, signal, threading, time\n"
        "def watch():\n"
        f"    while os.environ.get({name!r}) != {value!r} or 'ONEDNN_VERBOSE' in os.environ:\n"
        "        time.sleep(0.01)\n"
        f"    {what}\n"
        "def again():\n    threading.Thread(target=watch, daemon=True).start()\n"
        "os.register_at_fork(after_in_child=again)\n"
    )
    path = tmp_path / "python"
    path.write_text(f'#!/bin/sh\nPYTHONPATH={site} exec {sys.executable} "$@"\n')
    path.chmod(0o755)
    return str(path)


@needs_avx512
def test_a_setting_that_crashes_its_process_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    python = faulty(tmp_path, "ONEDNN_MAX_CPU_ISA=AVX2", "os.kill(os.getpid(), signal.SIGSEGV)")
    only = ("onednn", "onednn isa=AVX2", "onednn isa=AVX")
    (problem,) = documents(tmp_path / "t", SMALL, only=only, python=python)["problems"]
    found = by_name(problem)
    assert (found["onednn isa=AVX2"]["status"], found["onednn isa=AVX2"]["chosen"]) == ("failed", False)
    assert "SIGSEGV" in found["onednn isa=AVX2"]["reason"]
    assert [found[name]["status"] for name in ("onednn", "onednn isa=AVX")] == ["ok", "ok"]
    assert problem["chosen"] in ("onednn", "onednn isa=AVX")


@needs_avx512
def test_a_setting_that_hangs_is_ended_within_the_budget(tmp_path: Path) -> None:
    python = faulty(tmp_path, "ONEDNN_MAX_CPU_ISA=AVX2", "os.kill(os.getpid(), signal.SIGSTOP)")
    only = ("onednn", "onednn isa=AVX2")
    (problem,) = documents(tmp_path / "t", SMALL, only=only, python=python, budget_s=25.0)["problems"]
    found = by_name(problem)
    assert found["onednn isa=AVX2"]["status"] == "failed"
    assert "no answer within" in found["onednn isa=AVX2"]["reason"]
    assert found["onednn"]["status"] == "ok"
    assert no_process_is_left(tmp_path)


def without_tensorflow(place: Path) -> str:
    path = place / "python"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    path.chmod(0o755)
    return str(path)


def test_an_interpreter_without_tensorflow_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="TensorFlow"):
        tune(request(SMALL, output=tmp_path / "t", python=without_tensorflow(tmp_path)))
    assert not (tmp_path / "t").exists()


def test_a_budget_in_which_nothing_can_be_timed_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--budget"):
        tune(request(SMALL, output=tmp_path / "t", budget_s=0.001))


def test_a_problem_too_large_is_refused_and_the_others_are_replayed(tmp_path: Path) -> None:
    huge = "65536,512,512,64:3,3,64,64"
    found = documents(tmp_path / "t", huge, SMALL, only=("onednn",))
    assert [p["spec"] for p in found["problems"]] == [str(parse(SMALL))]
    assert "smaller batch" in found["not_replayed"][0]["reason"]
    with pytest.raises(UsageError, match="smaller batch"):
        tune(request(huge, output=tmp_path / "u"))


def test_names_that_fit_nothing_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there are onednn"):
        tune(request(SMALL, output=tmp_path / "t", only=("nonsense*",)))


def test_what_would_be_tried_is_listed_without_trying_it() -> None:
    found = tuned.document(offered(request(SMALL, budget_s=0.0)))
    (problem,) = found["problems"]
    assert {"onednn", "eigen", "xla"} <= set(by_name(problem))
    assert {c["status"] for c in problem["candidates"]} == {"not_tried"}
    assert problem["chosen"] is None


def test_the_settings_file_is_what_a_shell_reads(tmp_path: Path) -> None:
    found = documents(tmp_path / "t", SMALL, only=("onednn", "onednn isa=SSE41"))
    slow = {"ONEDNN_MAX_CPU_ISA": "it's; touch /absent/file"}
    found["pin"]["env"] = slow
    found["pin"]["disagree"] = [{"spec": "a\nexport EVIL=1", "candidate": "x"}]
    path = tmp_path / "settings.sh"
    path.write_text(settings_file.text(found))
    script = f". {path}; env"
    out = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert f"ONEDNN_MAX_CPU_ISA={slow['ONEDNN_MAX_CPU_ISA']}" in out.stdout
    assert "EVIL" not in out.stdout
    assert out.stderr == ""


def contents(place: Path) -> dict[str, bytes]:
    return {str(p.relative_to(place)): p.read_bytes() for p in place.rglob("*") if p.is_file()}


@dataclass(frozen=True)
class Replaced:
    """A tuning with `force` over an old trace: what was there before, and, whenever it told of its progress, what was
    there and what lay beside it."""

    trace: Path
    before: dict[str, bytes]
    meanwhile: list[tuple[dict[str, bytes], list[str]]]


@pytest.fixture(scope="module")
def replaced(tmp_path_factory: pytest.TempPathFactory) -> Replaced:
    place = tmp_path_factory.mktemp("replaced")
    log = tmp_path_factory.mktemp("log") / "onednn.log"
    log.write_text(FORWARD + "\n")
    trace = import_files([log], place / "t")
    before, meanwhile = contents(trace), []

    def look(*_: object) -> None:
        meanwhile.append((contents(trace), [p.name for p in place.iterdir() if p != trace]))

    outcome = tune(request(SMALL, output=trace, force=True, only=("onednn",)), look)
    assert outcome.directory.resolve() == trace.resolve()
    return Replaced(trace, before, meanwhile)


def test_an_old_trace_stands_until_a_forced_tuning_is_whole_and_then_nothing_of_it_is_left(
    replaced: Replaced,
) -> None:
    assert all(there == replaced.before for there, _ in replaced.meanwhile)
    beside = {name for _, names in replaced.meanwhile for name in names}
    assert [name.startswith(".t.") for name in beside] == [True]  # it was written there
    assert [p.name for p in replaced.trace.parent.iterdir()] == ["t"]
    found = contents(replaced.trace)
    copied = {name for name in replaced.before if name.startswith("raw/")}
    assert copied
    assert not copied & set(found)
    assert set(load(replaced.trace).algorithms["source"]) == {"tune"}
    assert not any(b".part" in data for name, data in found.items() if name.startswith("raw/"))


def test_a_forced_tuning_that_fails_leaves_the_old_trace_as_it_was(tmp_path: Path) -> None:
    log = tmp_path / "onednn.log"
    log.write_text(FORWARD + "\n")
    import_files([log], tmp_path / "t")
    before = contents(tmp_path)
    with pytest.raises(UsageError, match="TensorFlow"):
        tune(request(SMALL, output=tmp_path / "t", force=True, python=without_tensorflow(tmp_path)))
    assert contents(tmp_path / "t") == {n[2:]: data for n, data in before.items() if n.startswith("t/")}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["onednn.log", "python", "t"]


@pytest.mark.parametrize("taken", ["by a trace", "by a file", "by other files"])
def test_that_the_place_is_taken_is_said_before_anything_is_started(tmp_path: Path, taken: str) -> None:
    log, place = tmp_path / "onednn.log", tmp_path / "t"
    log.write_text(FORWARD + "\n")
    if taken == "by a trace":
        import_files([log], place)
    elif taken == "by a file":
        place.write_text("")
    else:
        place.mkdir()
        (place / "letter.txt").write_text("")
    said = {"by a trace": "there is a trace already", "by a file": "is a file"}.get(taken, "no trace")
    with pytest.raises(UsageError, match=said):  # and not that there is no TensorFlow
        tune(request(SMALL, output=place, python=without_tensorflow(tmp_path)))


def test_samples_of_two_tunings_can_be_compared(replaced: Replaced) -> None:
    trace = load(replaced.trace)
    found = tuned.document(trace)
    (row,) = trace.algorithms.to_dict("records")
    assert np.median(row["samples_us"]) == pytest.approx(row["time_us"])
    assert found["problems"][0]["candidates"][0]["timed_calls"] >= len(row["samples_us"])


def test_ctrl_c_ends_the_processes_and_keeps_what_was_measured(tmp_path: Path) -> None:
    options = [
        "--conv2d",
        RESNET[0],
        "--only",
        "onednn",
        "--only",
        "eigen",
        "--budget",
        "100",
        "-o",
        str(tmp_path / "t"),
    ]
    child = subprocess.Popen(
        [sys.executable, "-c", "from tftrace.cli import main; main()", "tune", *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    raw = tmp_path / "t" / "raw" / "replays.jsonl"
    while child.poll() is None and not (raw.is_file() and '"times"' in raw.read_text()):
        pass
    child.send_signal(signal.SIGINT)
    out, errors = child.communicate(timeout=60)
    assert child.returncode == 130, errors
    assert str(parse(RESNET[0])) in out
    found = tuned.document(load(tmp_path / "t"))
    assert found["tuned"]["ended_because"] == "stopped with Ctrl-C"
    assert any(c["status"] == "ok" for c in found["problems"][0]["candidates"])
    assert no_process_is_left(tmp_path)
