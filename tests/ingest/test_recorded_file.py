"""Files in pieces: whatever their size, the bytes are those of the whole, plain or packed, whole or damaged."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tftrace.errors import InputError
from tftrace.ingest.recorded_file import HEAD, Pieces, read_head, read_recorded

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data, "gz": gzip.compress, "xz": lzma.compress, "bz2": bz2.compress,
}  # fmt: skip


def noise(size: int) -> bytes:
    """Bytes that do not pack well, so that a packed file is long."""
    return b"\n".join(str(hash((n, "x"))).encode() for n in range(size // 19 + 1))[:size]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pieces")


@settings(max_examples=60, deadline=None)
@given(
    members=st.lists(st.integers(0, 20_000).map(noise), min_size=1, max_size=3),
    pack=st.sampled_from(sorted(PACKERS)),
    size=st.integers(1, 30_000),
    behind=st.sampled_from([b"", b"\0\0", b"BZ"]),
)
def test_pieces_are_the_whole_file(
    place: Path, members: list[bytes], pack: str, size: int, behind: bytes
) -> None:
    path, data = place / "f", b"".join(members)
    packed = b"".join(PACKERS[pack](member) for member in members)
    path.write_bytes(packed + (b"" if pack == "plain" else behind))
    if not data:
        with pytest.raises(InputError, match="empty"):
            read_recorded(path)
        return
    pieces = Pieces(path, size)
    assert b"".join(pieces) == data
    assert pieces.cut is None
    lines = list(Pieces(path, size).lines())
    assert b"".join(lines) == data
    assert all(piece.endswith(b"\n") for piece in lines[:-1])
    assert data.startswith(read_head(path)[:HEAD])


@settings(max_examples=60, deadline=None)
@given(data=st.integers(1, 60_000).map(noise), at=st.floats(0.01, 0.999))
def test_a_packed_file_that_is_cut_gives_what_was_there(place: Path, data: bytes, at: float) -> None:
    packed = gzip.compress(data)
    packed = packed[: max(int(len(packed) * at), 3)]
    path = place / "cut"
    path.write_bytes(packed)
    expected = zlib.decompressobj(31).decompress(packed)
    try:
        found = read_recorded(path)
    except InputError as error:
        assert not expected
        assert "cut short" in str(error)  # noqa: PT017
        return
    assert (found.data, found.cut) == (expected, "the compressed file is cut short")


def test_a_damaged_file_gives_what_stands_before_the_damage(place: Path) -> None:
    data = noise(200_000)
    packed = bytearray(gzip.compress(data))
    packed[-8:-4] = b"????"  # its checksum
    path = place / "damaged"
    path.write_bytes(packed)
    found = read_recorded(path)
    assert found.cut is not None
    assert found.cut.startswith("the compressed file is damaged: ")
    assert data.startswith(found.data)
    assert len(found.data) > len(data) - 20_000


def test_memory_follows_a_piece_and_not_the_file(place: Path) -> None:
    path = place / "long.gz"
    path.write_bytes(gzip.compress(bytes(64 << 20)))
    tracemalloc.start()
    length = sum(len(piece) for piece in Pieces(path, 1 << 20))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert length == 64 << 20
    assert peak < 16 << 20


def test_a_directory_cannot_be_read_as_a_file(place: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        list(Pieces(place))
