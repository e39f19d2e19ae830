"""XLA's autotune results: what it found best for each instruction."""

from __future__ import annotations

import numpy as np

from tftrace.correlate.imports.facts import ORDER, STEP_NS, Facts
from tftrace.correlate.runs.tf_logs import add_tunings
from tftrace.correlate.tables.columns import TraceBuilder, compact
from tftrace.ingest.xla_autotune import AutotuneResults


def dated(results: AutotuneResults) -> bool:
    return False


def add(results: AutotuneResults, build: TraceBuilder, base_ns: int) -> Facts:
    """One event of the layer runtime for each result, in order: the file has no times of its own."""
    n = len(results.results)
    words = build.words
    build.events(
        n, layer=words.code("runtime"), name=words.codes(f"autotuned: {r.kind}" for r in results.results),
        start_ns=base_ns + np.arange(n) * STEP_NS, dur_ns=0, probe=words.code("import:xla_autotune"),
        attrs=build.attrs.codes(
            compact({"device": r.device, "hlo": r.hlo, "kind": r.kind, **r.attrs}) for r in results.results
        ),
    )  # fmt: skip
    add_tunings([r.tuning for r in results.results if r.tuning is not None], build, counted=False)
    names = dict.fromkeys(r.device for r in results.results if r.device)
    return Facts(
        entries=n, events=n, lost=0, reason=results.cut, clock=ORDER,
        devices=[{"name": name, "type": "GPU"} for name in names],
        details={"version": results.version, "convolutions": sum(r.tuning is not None for r in results.results)},
    )  # fmt: skip
