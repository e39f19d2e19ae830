"""What was recorded on a real GPU for this repository (traces/recordings) imports whole, together and apart."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tftrace.analysis import algorithms
from tftrace.api import load
from tftrace.correlate.imported import import_files
from tftrace.ingest import xla_autotune
from tftrace.ingest.cudnn import log as cudnn_log
from tftrace.model.trace import Trace

RECORDINGS = Path(__file__).parents[2] / "traces" / "recordings"
PROFILE = RECORDINGS / "h200_jax_conv.xplane.pb"
DUMP = RECORDINGS / "h200_xla_autotune.textproto"
LOG = RECORDINGS / "h200_cudnn9_level3.log.gz"


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Trace:
    return load(import_files([PROFILE, DUMP, LOG], tmp_path_factory.mktemp("recordings") / "t"))


def test_every_entry_of_cudnn_9s_log_is_read() -> None:
    log = cudnn_log.read(LOG)
    assert log.cut is None
    assert log.complete.all()
    assert log.function.size > 2000
    count = Counter(log.functions[code] for code in log.function.tolist())
    # forward and both gradients, twice; on a GPU an execution, too, has a record for its end
    assert count["cudnnBackendExecute"] == 2 * 6


def test_an_autotuner_that_tells_fingerprints_only_keeps_its_winners() -> None:
    found = xla_autotune.read(DUMP)
    assert Counter(r.kind for r in found.results) == {"native_emitter": 11, "block_level": 1, "algorithm": 3}
    won = [r.tuning for r in found.results if r.tuning is not None]
    assert {t.version for t in won} == {"9.19.0"}
    assert sorted(t.candidates[0].engine or 0 for t in won) == [67, 68, 71]
    assert len({str(t.problem["hlo_fingerprint"]) for t in won}) == 3


def test_device_work_of_jax_serves_its_instructions(trace: Trace) -> None:
    device = trace.events[trace.events.layer == "device"]
    launched = set(trace.links.child_id[trace.links.rule == "correlation id"])
    assert set(device.event_id) <= launched
    calls = trace.calls.merge(trace.sites, on="site_id")
    convolutions = calls[calls.op.astype(str).str.startswith("cudnn-conv")]
    assert Counter(convolutions.op) == {"cudnn-conv": 3, "cudnn-conv-bw-input": 3, "cudnn-conv-bw-filter": 3}
    assert (convolutions.device_total_ns > 0).all()


def test_executions_of_the_log_have_their_host_time(trace: Trace) -> None:
    executed = trace.events[trace.events.name == "cudnnBackendExecute"]
    assert len(executed) == 6
    assert (executed.dur_ns > 0).all()


def test_the_ledger_holds_each_source_for_what_it_is(trace: Trace) -> None:
    rows = algorithms.ledger(trace)
    assert Counter(zip(rows.source, rows.evidence, strict=True)) == {
        ("kernel_names", "inferred"): 3,
        ("cudnn_log", "measured"): 3,
        ("xla_autotune", "measured"): 3,
    }
    logged = rows[rows.source == "cudnn_log"]
    assert set(logged.direction) == {"forward", "backprop_input", "backprop_filter"}
    assert set(logged.device) == {"NVIDIA H200"}
