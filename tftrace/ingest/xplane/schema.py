"""The messages of a TensorFlow profile (`tensorflow.profiler.XSpace`), declared here: no TensorFlow is
needed.

Source: tsl/profiler/protobuf/xplane.proto of TensorFlow 2.3 to 2.21. One thing differs from it on purpose: text is
`bytes` here, because TensorFlow writes the names of a program as they are, valid UTF-8 or not, and one bad name must
not cost the whole profile. On the wire both look the same.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from tftrace.model import messages
from tftrace.model.messages import BYTES, DOUBLE, INT64, UINT64, Declared

_PACKAGE: Final = "tftrace.xplane"

_MESSAGES: Final[Declared] = {
    "XSpace": [
        ("planes", 1, "XPlane", True),
        ("errors", 2, BYTES, True),
        ("warnings", 3, BYTES, True),
        ("hostnames", 4, BYTES, True),
    ],
    "XPlane": [
        ("id", 1, INT64, False),
        ("name", 2, BYTES, False),
        ("lines", 3, "XLine", True),
        ("event_metadata", 4, "EventMetadataEntry", True),  # a map, which on the wire is a list of entries
        ("stat_metadata", 5, "StatMetadataEntry", True),
        ("stats", 6, "XStat", True),
    ],
    "XLine": [
        ("id", 1, INT64, False),
        ("name", 2, BYTES, False),
        ("timestamp_ns", 3, INT64, False),
        ("events", 4, "XEvent", True),
        ("duration_ps", 9, INT64, False),
        ("display_id", 10, INT64, False),
        ("display_name", 11, BYTES, False),
    ],
    "EventMetadataEntry": [("key", 1, INT64, False), ("value", 2, "XEventMetadata", False)],
    "StatMetadataEntry": [("key", 1, INT64, False), ("value", 2, "XStatMetadata", False)],
    "XEvent": [  # either an offset or a number of occurrences
        ("metadata_id", 1, INT64, False),
        ("offset_ps", 2, INT64, False),
        ("duration_ps", 3, INT64, False),
        ("stats", 4, "XStat", True),
        ("num_occurrences", 5, INT64, False),
    ],
    "XEventMetadata": [
        ("id", 1, INT64, False),
        ("name", 2, BYTES, False),
        ("metadata", 3, BYTES, False),
        ("display_name", 4, BYTES, False),
        ("stats", 5, "XStat", True),
    ],
    "XStat": [  # all but the first are one of several
        ("metadata_id", 1, INT64, False),
        ("double_value", 2, DOUBLE, False),
        ("uint64_value", 3, UINT64, False),
        ("int64_value", 4, INT64, False),
        ("str_value", 5, BYTES, False),
        ("bytes_value", 6, BYTES, False),
        ("ref_value", 7, UINT64, False),
    ],
    "XStatMetadata": [
        ("id", 1, INT64, False),
        ("name", 2, BYTES, False),
        ("description", 3, BYTES, False),
    ],
}

_ONE_OF: Final[dict[str, tuple[str, frozenset[int]]]] = {
    "XEvent": ("data", frozenset({2, 5})),
    "XStat": ("value", frozenset({2, 3, 4, 5, 6, 7})),
}


class Event:
    """Field numbers of XEvent, and the number it has itself in XLine."""

    FIELD: Final = 4
    METADATA_ID: Final = 1
    OFFSET_PS: Final = 2
    DURATION_PS: Final = 3
    STATS: Final = 4
    NUM_OCCURRENCES: Final = 5


class Stat:
    """Field numbers of XStat; which of the values is there says what type it has."""

    METADATA_ID: Final = 1
    DOUBLE: Final = 2
    UINT64: Final = 3
    INT64: Final = 4
    STR: Final = 5
    BYTES: Final = 6
    REF: Final = 7


STATS: Final = frozenset(
    {
        "Memset_details", "_c", "_ct", "_p", "_pt", "annotation", "bytes", "context_id", "correlation_id", "device",
        "device_duration_ps", "eager_op", "edge_name", "element_id", "from", "group_id", "hlo_module", "hlo_op", "id",
        "is_eager", "is_func", "iter_num", "kernel_details", "long_name", "memcpy_details", "memset_details", "name",
        "occupancy_min_grid_size", "occupancy_suggested_block_size", "program_id", "scope_range_id", "shape",
        "step_name", "tf_function_call", "tf_op", "theoretical_occupancy_pct", "to", "tracing_count",
    }
)  # fmt: skip
"""Statistics of events that events, links and calls of a trace are made of. The others (a dozen on every allocation)
are in raw/ for who wants them."""

PROFILE_OPTIONS: Final[dict[int, str]] = {
    1: "include_dataset_ops",
    2: "host_tracer_level",
    3: "device_tracer_level",
    4: "python_tracer_level",
    5: "version",
    6: "device_type",
    7: "enable_hlo_proto",
    8: "start_timestamp_ns",
    9: "duration_ms",
    10: "repository_path",
    11: "trace_options",
    12: "advanced_configuration",
    13: "raise_error_on_start_failure",
    14: "session_id",
    15: "override_hostname",
}
"""Fields of tensorflow.ProfileOptions (tsl/profiler/protobuf/profiler_options.proto, TensorFlow 2.21)."""

PROFILE_OPTIONS_TEXT: Final = frozenset({10, 14, 15})
PROFILE_OPTIONS_SWITCH: Final = frozenset({1, 7, 13})


@cache
def message_class(name: str) -> Any:
    """The class of one of these messages, parsed by protobuf's own runtime."""
    return messages.message_class(_PACKAGE, _MESSAGES, name, _ONE_OF)
