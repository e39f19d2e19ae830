"""Every field of a message is found in its place, and garbage is refused."""

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ingest import wire_writer as write
from tests.ingest.wire_fields import FIELD, written
from tftrace.ingest import wire, wire_walk


def decoded(data: bytes) -> list[tuple[int, int, object]]:
    rows: list[tuple[int, int, object]] = []
    for field in wire_walk.walk(io.BytesIO(data), 0, len(data)):
        shown: object = field.value
        if field.tag & 7 == wire.FIXED64:
            shown = struct.unpack("<d", struct.pack("<Q", field.value))[0]
        elif field.tag & 7 == wire.LENGTH:
            shown = data[field.begin : field.end]
        rows.append((field.tag >> 3, field.tag & 7, shown))
    return rows


@given(st.lists(FIELD, max_size=8))
def test_every_field_comes_back_in_its_order(message: list[tuple[int, int, object]]) -> None:
    assert decoded(written(message)) == message


@given(st.lists(FIELD, max_size=8), st.binary(max_size=30))
def test_fields_lie_one_behind_the_other_whatever_is_around_the_message(
    message: list[tuple[int, int, object]], before: bytes
) -> None:
    data = written(message)
    file = io.BytesIO(before + data + b"\xff" * 30)
    at = len(before)
    for field in wire_walk.walk(file, at, at + len(data)):
        assert field.place == at < field.begin <= field.end
        at = field.end
        file.seek(0)  # as whoever reads the field moves on in the file
    assert at == len(before) + len(data)


@given(st.binary(max_size=40))
def test_garbage_is_read_or_refused_and_nothing_else(data: bytes) -> None:
    try:
        found = list(wire_walk.walk(io.BytesIO(data), 0, len(data)))
    except wire.WireError:
        return
    assert all(field.end <= len(data) for field in found)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (write.number(1, 300)[:-1], "ends within a field"),
        (write.block(4, b"abc")[:-1], "longer than the message"),
        (write.varint(5 << 3 | 2) + write.varint(2**64 - 1), "longer than the message"),
        (write.double(2, 1.0)[:-1], "ends within a field"),
        (b"\x00\x01", "ends within a field"),  # field number 0
        (write.varint(1 << 35 | 2) + b"\x00", "ends within a field"),  # more than field numbers have bits
        (write.varint(1 << 3 | 3) + b"\x01", "unknown wire type"),
        (b"\x08" + b"\xff" * 10 + b"\x01", "ends within a field"),
    ],
)
def test_what_is_wrong_with_the_bytes_is_said(data: bytes, why: str) -> None:
    with pytest.raises(wire.WireError, match=why):
        list(wire_walk.walk(io.BytesIO(write.number(1, 1) + data), 2, 2 + len(data)))


def test_a_file_that_became_shorter_is_said() -> None:
    file = io.BytesIO(write.block(1, b"abc"))
    (field,) = wire_walk.walk(file, 0, 5)
    file.truncate(4)
    with pytest.raises(wire.WireError, match="became shorter"):
        wire_walk.part(file, field.begin, field.end)
