"""Messages of any fields in protobuf's wire format, for hypothesis: (number, wire type, value)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from tests.ingest import wire_writer as write
from tftrace.ingest import wire

NUMBERS = st.integers(1, 2**29 - 1)
UINT64 = st.one_of(
    st.integers(0, 2**64 - 1), st.sampled_from([0, 127, 128, 2**56 - 1, 2**56, 2**63 - 1, 2**64 - 1])
)
FIELD = st.one_of(
    st.tuples(NUMBERS, st.just(wire.VARINT), UINT64),
    st.tuples(NUMBERS, st.just(wire.FIXED64), st.floats(allow_nan=False)),
    st.tuples(NUMBERS, st.just(wire.LENGTH), st.binary(max_size=200)),
    st.tuples(NUMBERS, st.just(wire.FIXED32), st.integers(0, 2**32 - 1)),
)
WRITERS: dict[int, Callable[[int, Any], bytes]] = {
    wire.VARINT: write.number,
    wire.FIXED64: write.double,
    wire.LENGTH: write.block,
    wire.FIXED32: write.fixed32,
}


def written(message: list[tuple[int, int, object]]) -> bytes:
    return b"".join(WRITERS[kind](number, value) for number, kind, value in message)
