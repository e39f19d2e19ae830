"""Which events of a TensorFlow profile are work of a device, and what their launch and copy details say.

A plane `/device:GPU:N` holds a line a stream (`Stream #13(Compute,MemcpyD2D)`) and lines that TensorFlow derives from
those (`Steps`, `TensorFlow Ops`, `TensorFlow Name Scope`, `XLA Modules`, `XLA Ops`, `Source code`): they tell the same
time once more and are no work of their own. On a TPU there are no streams: `XLA Ops` and `Async XLA Ops` are the work,
`XLA TraceMe` is where a core waited, and `XLA Modules` are the programs around them.

Grammar of the details of an event:

    details := (key ":" value)*               separated by blanks
    kernel_details, TensorFlow 2.3 .. 2.4:    regs:16 shm:0 grid:1,1,1 block:1024,1,1
    kernel_details, 2.5 .. 2.21:              regs:32 static_shared:0 dynamic_shared:0 grid:2,1,1 block:1024,1,1 occ_pct:66.6667
    memcpy_details, 2.3 .. 2.4:               size:4 dest:0 async:1
    memcpy_details, 2.5 .. 2.21:              kind_src:device kind_dst:pinned size:32768 dest:0 async:0
    Memset_details, 2.21:                     kind:device num_bytes:1028 async:0

Up to TensorFlow 2.4 the host's side of a launch carries `kernel_details` too, of uninitialised memory: never read
those.
"""  # noqa: E501

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tftrace.ingest.xplane.space import XLineInfo, XSpace
from tftrace.ingest.xplane.stats import Scalar

HOST: Final = "host"
STREAM: Final = "stream"
UNIT: Final = "unit"
PROGRAM: Final = "program"
DERIVED: Final = "derived"

LABELLED: Final = ("annotation", "tf_op")
"""The stats that name an op, the second one better."""

_STREAM_NUMBER = re.compile(r"^Stream #(-?\d+)")
_UNITS: Final = frozenset({"XLA Ops", "Async XLA Ops", "XLA TraceMe"})
_KEYS: Final = {
    "regs": "registers",
    "shm": "shared_bytes",
    "static_shared": "static_shared_bytes",
    "dynamic_shared": "dynamic_shared_bytes",
    "occ_pct": "occupancy_pct",
    "size": "bytes",
    "num_bytes": "bytes",
    "dest": "to_device",
    "async": "asynchronous",
    "kind_src": "from_memory",
    "kind_dst": "to_memory",
    "kind": "memory",
}
_TRIPLES: Final = frozenset({"grid", "block"})


def is_device(plane_name: str) -> bool:
    return plane_name.startswith("/device:") and not plane_name.startswith("/device:CPU")


def line_kinds(space: XSpace) -> list[str | None]:
    """What each line holds: a thread of the HOST, a STREAM, UNIT or PROGRAM (of a TPU), DERIVED; None for any other."""
    with_streams = {line.plane for line in space.lines if _STREAM_NUMBER.match(line.name)}
    kinds: list[str | None] = []
    for line in space.lines:
        if not is_device(line.plane_name):
            kinds.append(HOST if line.plane_name.startswith("/host:CPU") else None)
        elif _STREAM_NUMBER.match(line.name):
            kinds.append(STREAM)
        elif line.plane in with_streams:
            kinds.append(DERIVED)
        else:
            kinds.append(UNIT if line.name in _UNITS else PROGRAM if line.name == "XLA Modules" else DERIVED)
    return kinds


def lines_of(space: XSpace, *kinds: str) -> npt.NDArray[np.bool_]:
    """Which lines hold one of these."""
    return np.array([kind in kinds for kind in line_kinds(space)], np.bool_)


def stream_number(line: XLineInfo) -> int:
    """CUDA's or ROCm's number of the stream; of a line without one, its id."""
    found = _STREAM_NUMBER.match(line.name)
    return int(found[1]) if found else line.line_id


def details(text: str) -> dict[str, Any]:
    """The details by name: numbers as numbers (as text beyond 64 bits), what is not known under its own key.

    A part without ":" is left out.
    """
    out: dict[str, Any] = {}
    for part in text.split():
        key, colon, value = part.partition(":")
        if colon:
            out[_KEYS.get(key, key)] = (
                [_value(v) for v in value.split(",")] if key in _TRIPLES else _value(value)
            )
    return out


def op_labels(space: XSpace) -> tuple[npt.NDArray[np.int64], list[str]]:
    """(for each event the place of its op among the texts or -1, texts): `name:Type`, as TensorFlow annotated it.

    From `tf_op` (2.5 and later), else from `annotation`: its first level, before what the op added after `#`.
    """
    out = np.full(len(space), -1, np.int64)
    places: dict[str, int] = {}
    for stat in LABELLED:
        column = space.stats.coded(stat)
        if column is None:
            continue
        labels = [_first_level(str(v)) for v in column.values]
        code = np.array([places.setdefault(label, len(places)) if label else -1 for label in labels])[
            column.code
        ]
        out[column.event] = np.where(code < 0, out[column.event], code)
    return out, list(places)


def labels(values: Iterable[Scalar]) -> list[str]:
    """The ops that values of these name, each once."""
    return list(dict.fromkeys(label for value in values if (label := _first_level(str(value)))))


def _first_level(annotation: str) -> str:
    return annotation.split("#", 1)[0].split("::", 1)[0]


def _value(text: str) -> Any:
    try:
        whole = int(text)
        return whole if -(1 << 63) <= whole < 1 << 63 else text  # more than JSON readers hold
    except ValueError:
        try:
            number = float(text)
        except ValueError:
            return text
        return number if number == number and abs(number) != float("inf") else text
