"""NVTX ranges as a tool sees them: around every op, in the domain `tftrace`, with a category a layer."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from tftrace.model.layers import LAYERS
from tftrace.model.trace import Trace

pytestmark = [pytest.mark.tf, pytest.mark.slow]
Record = Callable[..., Trace]


@dataclass(frozen=True)
class Range:
    thread: str
    domain: str
    category: str
    message: str
    depth: int  # ranges of the domain that were open on the thread


def ranges(log: Path) -> list[Range]:
    """Every range of a tool's log; fails where a pop has no push, or a push no pop, on its own thread."""
    opened: dict[tuple[str, str], int] = defaultdict(int)
    found = []
    for line in log.read_text().splitlines():
        what, thread, domain, *rest = line.split(" ", 4)
        if what == "push":
            found.append(Range(thread, domain, *rest, opened[thread, domain]))
            opened[thread, domain] += 1
        else:
            opened[thread, domain] -= 1
            assert opened[thread, domain] >= 0, f"a pop without its push: {line}"
    assert set(opened.values()) == {0}, opened
    return found


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler to build the NVTX tool with")
    library = tmp_path_factory.mktemp("nvtx") / "tool.so"
    source = Path(__file__).parent / "nvtx_tool.c"
    subprocess.run(
        [compiler, "-std=gnu11", "-Wall", "-Werror", "-shared", "-fPIC", str(source), "-o", str(library)], check=True
    )  # fmt: skip
    return library


@pytest.fixture(scope="module")
def natively(recorded: Record, tool: Path) -> tuple[Trace, list[Range]]:
    log = tool.with_name("native.log")
    trace = recorded("ranges.py", NVTX_INJECTION64_PATH=str(tool), NVTX_TOOL_LOG=str(log))
    return trace, ranges(log)


def entries(trace: Trace) -> Counter[str]:
    """Op of every call that left Python."""
    calls = trace.calls.merge(trace.sites, on="site_id")
    calls = calls[calls.node.isna()]
    return Counter(
        "Session.run" if mode == "session" else str(op)
        for op, mode in zip(calls.op, calls["mode"], strict=True)
    )


def test_every_call_is_a_range_of_its_op(natively: tuple[Trace, list[Range]]) -> None:
    trace, found = natively
    assert {r.domain for r in found} == {"tftrace"}
    ops = Counter(r.message for r in found if r.category == "gen_op")
    assert ops == entries(trace)
    assert (ops["Relu"], ops["Conv2D"], ops["MatMul"], ops["Session.run"]) == (10, 6, 1, 1)


def test_primitives_are_ranges_inside_their_op(natively: tuple[Trace, list[Range]]) -> None:
    trace, found = natively
    library = [r for r in found if r.category == "library"]
    tasks = trace.events
    tasks = tasks[(tasks.probe == "itt") & tasks.layer.isin(["library", "device"])]
    # one that handed out no shares has its own time as the device's, told apart by no record of its own
    tasks = tasks[tasks.name != "calling thread"]
    assert Counter(r.message for r in library) == Counter(tasks.name.astype(str))
    assert len([r for r in library if r.message == "convolution" and r.depth == 1]) >= 6
    assert {r.category for r in found} <= set(LAYERS)


def test_threads_are_kept_apart(natively: tuple[Trace, list[Range]]) -> None:
    _, found = natively
    threads = Counter(r.thread for r in found if r.message == "Relu")
    assert sorted(threads.values()) == [5, 5]


def test_probe_says_that_it_ran(natively: tuple[Trace, list[Range]]) -> None:
    probe = next(p for p in natively[0].manifest["probes"] if p["name"] == "nvtx")
    assert (probe["status"], probe["reason"], probe["lost"]) == ("ok", None, 0)


@pytest.mark.skipif(find_spec("nvtx") is None, reason="the nvtx package is not installed in this environment")
def test_package_of_the_interpreter_serves_where_the_library_cannot_be_built(
    recorded: Record, tool: Path, tmp_path: Path
) -> None:
    log = tmp_path / "package.log"
    trace = recorded(
        "ranges.py", NVTX_INJECTION64_PATH=str(tool), NVTX_TOOL_LOG=str(log),
        PATH=str(tmp_path), CC="", XDG_CACHE_HOME=str(tmp_path / "cache"),
    )  # fmt: skip
    found = [r for r in ranges(log) if r.domain == "tftrace"]
    assert {r.category for r in found} == {"gen_op"}
    assert Counter(r.message for r in found) == entries(trace)


def test_tool_that_is_none_leaves_the_script_alone(recorded: Record, tmp_path: Path) -> None:
    broken = tmp_path / "broken.so"
    broken.write_text("no library")
    trace = recorded("ranges.py", NVTX_INJECTION64_PATH=str(broken))
    probe = next(p for p in trace.manifest["probes"] if p["name"] == "nvtx")
    assert (probe["status"], probe["reason"]) == (
        "unavailable", "the NVTX tool in NVTX_INJECTION64_PATH could not be attached"
    )  # fmt: skip
    assert entries(trace)["Relu"] == 10
