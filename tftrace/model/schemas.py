"""Arrow schemas of the tables of a trace, and the names of their columns.

Times are int64 nanoseconds since the epoch and durations int64 nanoseconds, unless a name carries its unit.
Null means "not observed"; no column holds a sentinel. Names repeat a lot and are dictionary-encoded.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from tftrace.model.layers import LAYERS

FORMAT_VERSION: Final = 1

_NAME = pa.dictionary(pa.int32(), pa.string())

EVENTS: Final = pa.schema(
    [
        ("event_id", pa.int64()),
        ("layer", _NAME),  # null: what tftrace itself did
        ("name", _NAME),
        ("start_ns", pa.int64()),
        ("dur_ns", pa.int64()),
        ("host", _NAME),
        ("pid", pa.int32()),
        ("tid", pa.int64()),
        ("device", _NAME),
        ("stream", pa.int32()),
        ("correlation_id", pa.int64()),
        ("stack_id", pa.int32()),
        ("probe", _NAME),
        ("attrs", pa.string()),  # JSON object
    ]
)
LINKS: Final = pa.schema(
    [("child_id", pa.int64()), ("parent_id", pa.int64()), ("rule", _NAME), ("evidence", _NAME)]
)
SITES: Final = pa.schema(
    [
        ("site_id", pa.int32()),
        ("op", _NAME),  # TensorFlow's type name, e.g. Conv2D
        ("api", _NAME),  # exported name, e.g. tf.nn.conv2d
        ("gen_op", _NAME),  # e.g. gen_nn_ops.conv2d
        ("gen_op_file", _NAME),
        ("gen_op_line", pa.int32()),
        ("python_file", _NAME),
        ("python_line", pa.int32()),
        ("python_code", pa.string()),  # the source line; null where left out or not found
        ("callers", pa.string()),  # JSON array of {"file","line","code"}, innermost first
        ("mode", _NAME),
        ("graph", _NAME),  # name of the graph or concrete function; null in eager mode
        ("node", pa.string()),
        ("trace_us", pa.float64()),  # Python time to make the node; null in eager mode
        ("stack_id", pa.int32()),  # Python stack that made the op or the node
        ("executions", pa.int64()),
        ("graph_id", pa.int32()),  # the graph's number in the trace; null in eager mode
        ("fate", _NAME),  # fused, folded ..: what became of a node that did not run by itself; else null
        ("into", pa.string()),  # node or instruction that does its work
        ("into_kernel", _NAME),  # op of that node
        ("into_site", pa.int32()),  # site whose calls that kernel counts as
    ]
)
CALLS: Final = pa.schema(
    [
        ("call_id", pa.int64()),
        ("site_id", pa.int32()),
        (
            "parent_call_id",
            pa.int64(),
        ),  # the call that ran the graph this one's node lies in; null in eager mode
        ("step", pa.int64()),
        ("warm_up", pa.bool_()),
        ("shapes", _NAME),  # JSON array of the inputs' shapes, null for an unknown one
        ("dtypes", _NAME),  # JSON array
        ("op_attrs", _NAME),  # JSON object: strides, padding ..
        ("device", _NAME),
        ("pid", pa.int32()),
        ("tid", pa.int64()),
        ("start_ns", pa.int64()),
        ("total_ns", pa.int64()),  # on the thread that waits for the result
        ("self_ns", pa.int64()),  # total less that of the calls it contains, and less tftrace_ns
        ("cpu_ns", pa.int64()),  # shares of worker threads; null where not observed
        ("status", _NAME),  # ok | raised | open (the process ended inside)
        *[(f"{layer}_total_ns", pa.int64()) for layer in LAYERS],
        *[(f"{layer}_self_ns", pa.int64()) for layer in LAYERS],
        ("session_id", pa.int32()),  # TensorFlow's session that ran it, by its number in the trace
        (
            "tftrace_ns",
            pa.int64(),
        ),  # what tftrace's probes spent within it, on its thread; null where not measured
    ]
)
EVENT_CALLS: Final = pa.schema([("event_id", pa.int64()), ("call_id", pa.int64()), ("share", pa.float32())])
FRAME: Final = pa.struct(
    [
        ("kind", pa.string()),  # python | native
        ("function", pa.string()),
        ("file", pa.string()),
        ("line", pa.int32()),
        ("module", pa.string()),
    ]
)
STACKS: Final = pa.schema([("stack_id", pa.int32()), ("frames", pa.list_(FRAME))])  # innermost first
ALGORITHMS: Final = pa.schema(
    [
        ("problem_id", pa.int32()),
        ("problem", pa.string()),  # JSON object as in the algorithms contract
        ("op", _NAME),
        ("direction", _NAME),
        ("device", _NAME),
        ("library", _NAME),
        ("version", _NAME),
        ("algorithm", _NAME),
        ("engine", _NAME),
        ("knobs", pa.string()),  # JSON object
        ("implementation", _NAME),
        ("time_us", pa.float64()),
        (
            "time_of",
            _NAME,
        ),  # what `time_us` is the time of, where that is not the whole work: "call on the host"
        ("trials", pa.int64()),  # timed executions by an autotuner; null where there was none
        ("calls", pa.int64()),  # executions of the op, without those
        ("workspace_bytes", pa.int64()),
        ("status", _NAME),
        ("chosen", pa.bool_()),
        ("source", _NAME),
        ("evidence", _NAME),
        ("low_us", pa.float64()),  # interval around `time_us`, 95 %; null where the repetitions are too few
        ("high_us", pa.float64()),
        (
            "samples_us",
            pa.list_(pa.float64()),
        ),  # the repetitions that `time_us` is the median of, some of them
        ("total_us", pa.float64()),  # all executions of the op together; null where they were not timed
        ("tuning_us", pa.float64()),  # all trials together
        ("tunings", pa.int64()),  # how many times an autotuner tried it
        ("retunes", pa.int64()),  # those of them that repeat one of the same process
        ("first_ns", pa.int64()),  # when it was first tried or run
        ("picked_by", _NAME),  # who chose it: autotuner, heuristics, library
        ("reason", pa.string()),  # why it failed or has no time
        ("device_model", _NAME),  # e.g. Tesla T4, where the source tells it
        ("confidence", pa.float64()),  # of an algorithm told by kernel names alone
        ("alternative", _NAME),  # an algorithm that launches kernels of the same names
    ]
)
ADDED: Final = {
    "sites": ("graph_id", "fate", "into", "into_kernel", "into_site"),
    "calls": ("session_id", "tftrace_ns"),
    "algorithms": (
        "low_us", "high_us", "samples_us", "total_us", "tuning_us", "tunings", "retunes", "first_ns", "picked_by",
        "reason", "device_model", "confidence", "alternative",
    )
}  # fmt: skip
"""Columns that traces of an earlier tftrace do not have: read as null."""

IDS: Final = {
    "events": ("event_id",),
    "links": ("child_id", "parent_id"),
    "sites": ("site_id",),
    "calls": ("call_id",),
    "event_calls": ("event_id", "call_id"),
    "stacks": ("stack_id",),
}
"""Columns in which every row has a value. On disk they are declared so, but for traces of an earlier tftrace."""

TABLES: Final[dict[str, pa.Schema]] = {
    "events": EVENTS,
    "links": LINKS,
    "sites": SITES,
    "calls": CALLS,
    "event_calls": EVENT_CALLS,
    "stacks": STACKS,
    "algorithms": ALGORITHMS,
}
