"""Profiles as hypothesis makes them: what the format allows, whether TensorFlow writes it or not."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.ingest import wire_writer as write

INT64 = st.integers(-(2**63), 2**63 - 1)
IDS = st.one_of(st.integers(0, 5), st.sampled_from([-1, 127, 128, 70_000, 2**40, 2**63 - 1, -(2**63)]))
NAMES = st.one_of(
    st.sampled_from(["", "a", "Conv2D:Conv2D", "\0", "\u202eabc", "<b>", "n" * 300]), st.text(max_size=6)
)


def nested(depth: int) -> bytes:
    return write.block(15, nested(depth - 1)) if depth else b"\x08\x01"


UNKNOWN = st.one_of(
    st.builds(write.number, st.integers(90, 2**29 - 1), INT64),
    st.builds(write.block, st.integers(90, 95), st.binary(max_size=20)),
    st.builds(write.fixed32, st.integers(90, 95), st.integers(0, 2**32 - 1)),
    st.builds(write.double, st.integers(90, 95), st.floats(allow_nan=False)),
    st.builds(lambda depth: write.block(91, nested(depth)), st.integers(1, 60)),
)
"""Fields of a later TensorFlow."""

MISTYPED = st.one_of(
    st.builds(write.fixed32, st.integers(1, 3), st.integers(0, 2**32 - 1)),
    st.builds(write.double, st.sampled_from([1, 3]), st.floats(allow_nan=False)),
)
"""Fields with a number that is known, of another type than it has: protobuf's readers take them as unknown."""


def mixed(*parts: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """A message of these fields in any order, with some that nobody knows."""
    return (
        st.tuples(st.tuples(*parts), st.lists(st.one_of(UNKNOWN, MISTYPED), max_size=2))
        .flatmap(lambda both: st.permutations([*both[0], *both[1]]))
        .map(b"".join)
    )


def maybe(part: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return st.one_of(st.just(b""), part)


VALUE = st.one_of(
    st.builds(write.double, st.just(2), st.floats(allow_nan=False)),
    st.builds(write.number, st.just(3), st.integers(0, 2**64 - 1)),
    st.builds(write.number, st.just(4), INT64),
    st.builds(write.block, st.just(5), NAMES),
    st.builds(write.block, st.just(6), st.binary(max_size=9)),
    st.builds(write.number, st.just(7), st.integers(0, 7)),
)


def stat(key: int) -> st.SearchStrategy[bytes]:
    """A statistic with a value; with none, or with several, of which the last counts."""
    values = st.one_of(VALUE, VALUE, st.just(b""), st.lists(VALUE, max_size=3).map(b"".join))
    return mixed(st.just(write.number(1, key)), values)


def stats(field: int) -> st.SearchStrategy[bytes]:
    def several(keys: list[int]) -> st.SearchStrategy[bytes]:
        written = [stat(key).map(lambda raw: write.block(field, raw)) for key in keys]
        return st.tuples(*written).map(b"".join)

    return st.lists(IDS, max_size=4, unique=True).flatmap(several)


TIMES = st.one_of(st.integers(-(10**6), 10**6), st.integers(0, 2**62), st.sampled_from([0, 999, 1000, -1]))
EVENT = mixed(
    maybe(st.builds(write.number, st.just(1), IDS)),
    maybe(st.builds(write.number, st.sampled_from([2, 2, 2, 5]), TIMES)),
    maybe(st.builds(write.number, st.just(3), st.one_of(TIMES, st.just(-(2**62))))),
    stats(4),
)
LINE = mixed(
    maybe(st.builds(write.number, st.just(1), INT64)),
    maybe(st.builds(write.block, st.just(2), NAMES)),
    maybe(st.builds(write.number, st.just(3), st.integers(-(2**40), 2**40))),
    st.lists(EVENT.map(lambda raw: write.block(4, raw)), max_size=6).map(b"".join),
    maybe(st.builds(write.number, st.just(10), INT64)),
    maybe(st.builds(write.block, st.just(11), NAMES)),
)


def entries(field: int) -> st.SearchStrategy[bytes]:
    def entry(key: int, name: str, more: bytes) -> bytes:
        return write.block(field, write.number(1, key) + write.block(2, write.block(2, name) + more))

    some: Any = st.dictionaries(IDS, st.tuples(NAMES, maybe(UNKNOWN)), max_size=5)
    # two ids with one name would be one statistic twice
    distinct = some.map(lambda of: {name: (key, more) for key, (name, more) in of.items()})
    return distinct.map(lambda of: b"".join(entry(key, name, more) for name, (key, more) in of.items()))


PLANE = mixed(
    maybe(st.builds(write.number, st.just(1), INT64)),
    st.builds(write.block, st.just(2), st.sampled_from(["/host:CPU", "/device:GPU:0", "made"])),
    st.lists(LINE.map(lambda raw: write.block(3, raw)), max_size=3).map(b"".join),
    entries(4),
    entries(5),
    stats(6),
)
PROFILES = mixed(
    st.lists(PLANE.map(lambda raw: write.block(1, raw)), min_size=1, max_size=3).map(b"".join),
    st.lists(NAMES.map(lambda text: write.block(4, text)), max_size=2).map(b"".join),
)
"""The bytes of a whole file."""
