"""What the tests look at in a trace of a GPU."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from tftrace.model.trace import Trace


def layers(group: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The chain of a group of `why`, by layer."""
    return {entry["layer"]: entry for entry in group["chain"]}


def executions(trace: Trace) -> pd.DataFrame:
    """Every cudnnBackendExecute, in order, with its attributes as columns."""
    events = trace.events
    chosen = events[(events.layer == "library") & (events.name == "cudnnBackendExecute")]
    chosen = chosen.sort_values("start_ns").reset_index(drop=True)
    attrs = pd.DataFrame([json.loads(a) for a in chosen["attrs"]])
    return pd.concat([chosen.drop(columns="attrs"), attrs], axis=1)


def calls_of(trace: Trace, op: str) -> pd.DataFrame:
    """Executions of an op with the columns of their sites, in order."""
    calls = trace.calls.merge(trace.sites, on="site_id")
    return calls[calls.op == op].sort_values("start_ns")


def device_work(trace: Trace, call_id: int) -> pd.DataFrame:
    """Events of the layer `device` that belong to one execution, with `tuning` from their attributes."""
    members = trace.frame("event_calls")
    events = trace.events
    mine = events[
        (events.layer == "device") & events.event_id.isin(members.event_id[members.call_id == call_id])
    ]
    return mine.assign(tuning=mine["attrs"].fillna("").str.contains('"tuning":true'))
