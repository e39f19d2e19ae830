"""Raw records that were damaged after the run: one line says so, and everything else is read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tftrace.api import load
from tftrace.correlate.build import build
from tftrace.errors import InputError
from tftrace.model.trace import Trace

pytestmark = [pytest.mark.tf, pytest.mark.slow]


@pytest.fixture
def copy(mixed_trace: Trace, tmp_path: Path) -> Path:
    assert mixed_trace.path is not None
    return Path(shutil.copytree(mixed_trace.path, tmp_path / "copy"))


def profile(copy: Path) -> Path:
    (path,) = copy.glob("raw/*/plugins/profile/*/*.xplane.pb")
    return path


@pytest.mark.parametrize("damage", ["cut", "foreign", "empty", "gone"])
def test_profile_that_cannot_be_read_costs_only_itself(damage: str, copy: Path, mixed_trace: Trace) -> None:
    path = profile(copy)
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(
            {"cut": data[: len(data) // 2], "foreign": b"%PDF-1.7 something else", "empty": b""}[damage]
        )
    manifest = build(copy)
    (problem,) = manifest["problems"]
    assert "\n" not in problem
    assert (path.parent.name if damage == "gone" else str(path)) in problem
    (window,) = manifest["processes"][0]["windows"]
    assert window["lost"] == ("its profile is missing" if damage == "gone" else "its profile cannot be read")
    trace = load(copy)
    whole = mixed_trace.calls.merge(mixed_trace.sites, on="site_id")
    rest = trace.calls.merge(trace.sites, on="site_id")
    assert len(rest[rest.node.isna()]) == len(whole[whole.node.isna()])
    assert set(trace.events.probe.dropna()) >= {"dispatch", "graph", "itt"}
    assert "tf_profiler" not in set(trace.events.probe.dropna())
    found = next(p for p in manifest["probes"] if p["name"] == "tf_profiler")
    assert (found["status"], found["events"], found["lost"]) == ("partly", 0, len(rest[rest.node.isna()]))


def test_rebuilding_gives_the_same_tables(copy: Path, mixed_trace: Trace) -> None:
    for table in copy.glob("*.parquet"):
        table.unlink()
    (copy / "manifest.json").unlink()
    again = load(copy)
    for name in ("events", "links", "sites", "calls", "event_calls", "stacks", "algorithms"):
        assert again.tables[name].equals(mixed_trace.tables[name]), name
    assert again.manifest == mixed_trace.manifest


def test_raw_records_of_another_format_are_named(copy: Path) -> None:
    (path,) = copy.glob("raw/*/process.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    manifest = build(copy)
    assert manifest["problems"] == [f"{path}: raw format 99, this tftrace reads 1"]
    assert len(load(copy).calls) == 0


def test_run_facts_that_are_no_json_stop_the_build(copy: Path) -> None:
    (copy / "run.json").write_text("{")
    with pytest.raises(InputError, match=r"run\.json: not JSON .*; delete it"):
        build(copy)
