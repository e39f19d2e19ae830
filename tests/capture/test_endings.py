"""However a script ends: tftrace ends with its code, says nothing, and leaves a trace that can be read."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.capture.running import (
    SCRIPTS,
    child_of,
    environment,
    kill_when,
    run,
    run_on_terminal,
    without_stamps,
)
from tftrace.api import load

ENDING = SCRIPTS / "ending.py"


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ("return", 0),
        ("raise", 1),
        ("chain", 1),
        ("exit", 3),
        ("exit text", 1),
        ("os._exit", 4),
        ("kill", 137),
        ("segfault", 139),
    ],
)
def test_exit_status_and_streams_are_the_scripts(how: str, status: int, tmp_path: Path) -> None:
    plain = run(ENDING, how)
    traced = run(ENDING, how, traced_to=tmp_path / "trace")
    assert plain.exit_status == status
    assert traced == plain
    manifest = load(tmp_path / "trace").manifest
    assert manifest["exit_status"] == status
    assert manifest["problems"] == []


def test_signal_to_tftrace_reaches_the_script(tmp_path: Path) -> None:
    done = kill_when(
        ENDING, "wait", traced_to=tmp_path / "trace", said=b"waiting", number=signal.SIGTERM, whom=int
    )  # fmt: skip
    assert (done.exit_status, done.stderr) == (143, b"")
    assert load(tmp_path / "trace").manifest["exit_status"] == 143


def test_signal_to_the_script_is_reported_by_tftrace(tmp_path: Path) -> None:
    done = kill_when(
        ENDING, "wait", traced_to=tmp_path / "trace", said=b"waiting", number=signal.SIGKILL, whom=child_of
    )  # fmt: skip
    assert (done.exit_status, done.stderr) == (137, b"")


def test_interrupt_on_a_terminal(tmp_path: Path) -> None:
    plain = run_on_terminal(ENDING, "wait", interrupt_after=b"waiting")
    traced = run_on_terminal(ENDING, "wait", interrupt_after=b"waiting", traced_to=tmp_path / "trace")
    assert b"KeyboardInterrupt" in plain.stdout
    assert traced == plain
    assert traced.exit_status == 130
    assert load(tmp_path / "trace").manifest["exit_status"] == 130


def test_module(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "part.py").write_bytes((SCRIPTS / "numpy_free.py").read_bytes())
    plain = run("-m", "package.part", "a", "-m", cwd=tmp_path)
    traced = run("-m", "package.part", "a", "-m", cwd=tmp_path, traced_to=tmp_path / "trace")
    assert b'"package": "package"' in plain.stdout
    assert traced == plain


def test_module_that_is_not_there(tmp_path: Path) -> None:
    plain = run("-m", "no_such_module_anywhere")
    assert plain.exit_status == 1
    assert run("-m", "no_such_module_anywhere", traced_to=tmp_path / "trace") == plain


def test_script_that_is_not_there(tmp_path: Path) -> None:
    done = run(tmp_path / "none.py", traced_to=tmp_path / "trace")
    assert done.exit_status == 2
    assert done.stderr.decode().splitlines() == [
        f"tftrace: {tmp_path / 'none.py'}: no such script; give a Python file, or -m MODULE"
    ]
    assert not (tmp_path / "trace").exists()


def test_script_that_is_no_python(tmp_path: Path) -> None:
    text = tmp_path / "text.py"
    text.write_text("this is no Python\n")
    plain = run(text)
    assert b"SyntaxError" in plain.stderr
    assert run(text, traced_to=tmp_path / "trace") == plain


def test_script_without_tensorflow(tmp_path: Path) -> None:
    done = run(SCRIPTS / "numpy_free.py", traced_to=tmp_path / "trace")
    assert done.exit_status == 0
    trace = load(tmp_path / "trace")
    assert len(trace.calls) == 0
    for probe in trace.manifest["probes"]:
        assert probe["status"] == "unavailable", probe
        assert probe["reason"], probe


def test_place_that_cannot_be_written() -> None:
    done = run(ENDING, "os._exit", traced_to=Path("/proc/no-trace-here"))
    assert done.exit_status == 125
    assert done.stdout == b""  # the script never began
    assert len(done.stderr.splitlines()) == 1
    assert b"/proc/no-trace-here" in done.stderr


def test_trace_is_overwritten_only_on_demand(tmp_path: Path) -> None:
    place = tmp_path / "trace"
    assert run(ENDING, "exit", traced_to=place).exit_status == 3
    before = (place / "manifest.json").read_bytes()
    refused = run(ENDING, "os._exit", traced_to=place)
    assert (refused.exit_status, refused.stdout) == (2, b"")
    assert b"--force" in refused.stderr
    assert (place / "manifest.json").read_bytes() == before
    assert run(ENDING, "os._exit", traced_to=place, options=("--force",)).exit_status == 4
    assert load(place).manifest["exit_status"] == 4


def test_directory_of_somebody_elses_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    done = run(ENDING, "os._exit", traced_to=tmp_path, options=("--force",))
    assert (done.exit_status, done.stdout) == (2, b"")
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.tf
@pytest.mark.slow
class TestWithTensorFlow:
    def test_killed_script_leaves_everything_it_did(self, tmp_path: Path) -> None:
        done = run(ENDING, "kill", "work", traced_to=tmp_path / "trace")
        assert done.exit_status == 137
        trace = load(tmp_path / "trace")
        executed = trace.calls.merge(trace.sites, on="site_id").groupby("op", observed=True).size()
        assert executed["Relu"] == 200
        assert executed["Conv2D"] == 200
        events = trace.events
        library = events[(events.layer == "library") & (events.name == "convolution")]
        assert len(library) == 200
        assert library["attrs"].str.contains('"implementation"').sum() == 200
        process = trace.manifest["processes"][0]
        assert process["finished"] is False
        assert "ended suddenly" in process["missing"]
        status = {p["name"]: (p["status"], p["reason"]) for p in trace.manifest["probes"]}
        assert status["dispatch"] == ("partly", "the process ended suddenly")
        # its one window was never closed: nothing of it is left, and that is said
        assert status["tf_profiler"][0] == "partly"
        assert "no window was closed" in status["tf_profiler"][1]

    def test_kill_in_the_middle_loses_no_finished_call(self, tmp_path: Path) -> None:
        counter = tmp_path / "count"
        done = kill_when(
            SCRIPTS / "endless.py", counter, traced_to=tmp_path / "trace", said=b"in the middle",
            number=signal.SIGKILL, whom=child_of,
        )  # fmt: skip
        assert (done.exit_status, done.stderr.count(b"tftrace")) == (137, 0)
        finished = int.from_bytes(counter.read_bytes(), "little")
        assert finished >= 2000
        trace = load(tmp_path / "trace")
        calls = trace.calls.merge(trace.sites, on="site_id")
        whole = calls[calls.status == "ok"].groupby("op", observed=True).size()
        # what the script had counted is there to the last; it may have begun one more of each
        assert finished <= whole["Relu"] <= finished + 1
        assert finished <= whole["Conv2D"] <= finished + 1
        assert (calls.status == "open").sum() <= 1
        convolution = trace.events.query("layer == 'library' and name == 'convolution'")
        assert finished <= len(convolution) <= finished + 2
        assert convolution["attrs"].str.contains('"implementation"').sum() >= finished
        assert trace.manifest["processes"][0]["finished"] is False
        probes = {p["name"]: p for p in trace.manifest["probes"]}
        for name in ("dispatch", "onednn", "itt"):
            assert (probes[name]["status"], probes[name]["reason"]) == (
                "partly",
                "the process ended suddenly",
            )
        assert probes["tf_profiler"]["status"] == "partly"
        assert probes["tf_profiler"]["lost"] > 0

    def test_unraised_exit_still_finishes_the_trace(self, tmp_path: Path) -> None:
        done = run(ENDING, "raise", "work", traced_to=tmp_path / "trace")
        assert done.exit_status == 1
        trace = load(tmp_path / "trace")
        assert trace.manifest["processes"][0]["finished"] is True
        assert any(w["why"] == "the script ended" for w in trace.manifest["processes"][0]["windows"])

    def test_tensorflow_imported_and_no_op_run(self, tmp_path: Path) -> None:
        done = run(SCRIPTS / "no_op.py", traced_to=tmp_path / "trace")
        assert (done.exit_status, done.stdout) == (0, b"tensorflow\n")
        trace = load(tmp_path / "trace")
        assert len(trace.calls) == 0
        assert trace.manifest["versions"]["tensorflow"]
        status = {p["name"]: p for p in trace.manifest["probes"]}
        assert (status["dispatch"]["status"], status["dispatch"]["events"]) == ("ok", 0)

    def test_errors_of_tensorflow_look_as_they_always_do(self, tmp_path: Path) -> None:
        folder = tmp_path / "generated"  # AutoGraph's files get random names
        folder.mkdir()
        script = SCRIPTS / "wrong_op.py"
        plain, traced = (
            run(script, traced_to=to, env=environment(TMPDIR=str(folder)))
            for to in (None, tmp_path / "trace")
        )

        def lines(text: bytes) -> list[str]:
            return [_without_random_name(line) for line in without_stamps(text)]

        assert plain.stdout.count(b"== ") == 7
        assert plain.exit_status == traced.exit_status == 1
        assert lines(traced.stdout) == lines(plain.stdout)
        assert lines(traced.stderr) == lines(plain.stderr)
        faults = load(tmp_path / "trace").manifest["processes"][0]["faults"]
        assert faults == {"count": 0, "first": None}


def _without_random_name(line: str) -> str:
    before, mark, after = line.partition("__autograph_generated_file")
    return before + mark + after.partition(".py")[2] if mark else line
