"""Columns of the wire format hold every field of every message, and garbage is refused."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ingest import wire_writer as write
from tests.ingest.wire_fields import FIELD, written
from tftrace.ingest import wire


def decoded(parts: list[bytes]) -> list[list[tuple[int, int, object]]]:
    buffer, start, end = wire.buffer_of(parts)
    found = wire.fields(buffer, start, end)
    messages: list[list[tuple[int, int, object]]] = [[] for _ in parts]
    rows = zip(
        found.owner.tolist(), found.tag.tolist(), found.value.tolist(), found.size.tolist(), strict=True
    )
    for owner, tag, value, size in rows:
        shown: object = value
        if tag & 7 == wire.FIXED64:
            shown = struct.unpack("<d", struct.pack("<Q", value))[0]
        elif tag & 7 == wire.LENGTH:
            shown = buffer[value : value + size].tobytes()
        messages[owner].append((tag >> 3, tag & 7, shown))
    return messages


@given(st.lists(st.lists(FIELD, max_size=8), max_size=12))
def test_every_field_of_every_message_comes_back_in_its_order(
    messages: list[list[tuple[int, int, object]]],
) -> None:
    parts = [written(message) for message in messages]
    assert decoded(parts) == messages


def test_more_messages_than_one_batch_keep_their_owners() -> None:
    count = 3 * (1 << 15) + 7
    parts = [write.number(1, at) + (write.number(2, -at) if at % 3 else b"") for at in range(count)]
    buffer, start, end = wire.buffer_of(parts)
    found = wire.fields(buffer, start, end)
    first, second = found.where(1, wire.VARINT), found.where(2, wire.VARINT)
    assert np.array_equal(np.sort(found.owner[first]), np.arange(count))
    assert np.array_equal(found.owner[first], found.value[first].astype(np.int64))
    assert np.array_equal(found.owner[second], -found.value[second].view(np.int64))
    assert len(second) == sum(1 for at in range(count) if at % 3)


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_garbage_is_read_or_refused_and_nothing_else(parts: list[bytes]) -> None:
    buffer, start, end = wire.buffer_of(parts)
    try:
        found = wire.fields(buffer, start, end)
    except wire.WireError:
        return
    blocks = np.flatnonzero(found.tag & np.uint64(7) == wire.LENGTH)
    inside = found.value[blocks].astype(np.int64) + found.size[blocks]
    assert np.all(inside <= end[found.owner[blocks]])


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (write.number(1, 300)[:-1], "ends within a field"),
        (write.block(4, b"abc")[:-1], "longer than the message"),
        (write.varint(5 << 3 | 2) + write.varint(2**64 - 1), "longer than the message"),
        (write.double(2, 1.0)[:-1], "ends within a field"),
        (b"\x00\x01", "ends within a field"),  # field number 0
        (write.varint(1 << 3 | 3) + b"\x01", "unknown wire type"),
        (b"\x08" + b"\xff" * 10 + b"\x01", "ends within a field"),
    ],
)
def test_what_is_wrong_with_the_bytes_is_said(data: bytes, why: str) -> None:
    buffer, start, end = wire.buffer_of([write.number(1, 1), data])
    with pytest.raises(wire.WireError, match=why):
        wire.fields(buffer, start, end)


def test_without_bitwise_count_the_lengths_are_the_same() -> None:
    upto = np.array([(1 << 8 * n) - 1 for n in range(1, 9)], np.uint64)
    assert wire._bit_count(upto).tolist() == [8 * n for n in range(1, 9)]
