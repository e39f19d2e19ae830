"""The messages of a TensorFlow profile (`tensorflow.profiler.XSpace`), declared here: no TensorFlow is
needed.

Source: tsl/profiler/protobuf/xplane.proto of TensorFlow 2.3 to 2.21. Two things differ from it on purpose:
events and stats are `bytes` here, as `tftrace.ingest.wire` reads them in columns, and so is text, because
TensorFlow writes the names of a program as they are, valid UTF-8 or not, and one bad name must not cost the
whole profile. On the wire all of these look the same.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from tftrace.model.messages import BYTES, INT64, Declared, message_class

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
        ("stats", 6, BYTES, True),
    ],
    "XLine": [
        ("id", 1, INT64, False),
        ("name", 2, BYTES, False),
        ("timestamp_ns", 3, INT64, False),
        ("events", 4, BYTES, True),
        ("duration_ps", 9, INT64, False),
        ("display_id", 10, INT64, False),
        ("display_name", 11, BYTES, False),
    ],
    "EventMetadataEntry": [("key", 1, INT64, False), ("value", 2, "XEventMetadata", False)],
    "StatMetadataEntry": [("key", 1, INT64, False), ("value", 2, "XStatMetadata", False)],
    "XEventMetadata": [
        ("id", 1, INT64, False),
        ("name", 2, BYTES, False),
        ("metadata", 3, BYTES, False),
        ("display_name", 4, BYTES, False),
        ("stats", 5, BYTES, True),
    ],
    "XStatMetadata": [
        ("id", 1, INT64, False),
        ("name", 2, BYTES, False),
        ("description", 3, BYTES, False),
    ],
}


class Event:
    """Field numbers of XEvent."""

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
def xspace_class() -> Any:
    """The message class of XSpace, parsed by protobuf's own runtime."""
    return message_class(_PACKAGE, _MESSAGES, "XSpace")
