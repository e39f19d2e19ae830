"""Protocol buffers as text: what is written is read back, whatever is cut is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tftrace.ingest.proto_text import Word, dump, first, integer, parse, plain

NAMES = st.from_regex(r"[a-z][a-z_0-9]{0,8}", fullmatch=True)
VALUES = (
    st.integers(-(2**63), 2**64)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
    | st.sampled_from([Word("DT_FLOAT"), Word("true")])
)
MESSAGES = st.recursive(
    st.dictionaries(NAMES, st.lists(VALUES, min_size=1, max_size=3), max_size=4),
    lambda inner: st.dictionaries(NAMES, st.lists(VALUES | inner, min_size=1, max_size=3), max_size=3),
    max_leaves=12,
)


@given(MESSAGES)
def test_what_is_written_is_read_back(message: dict) -> None:
    text = dump(message)
    parsed = parse(text)
    assert parsed.message == message
    assert not parsed.cut
    assert text[parsed.end :].strip() == ""


@given(st.text(max_size=200))
def test_any_text_is_read_without_error(text: str) -> None:
    assert parse(text).end <= len(text)
    parse("a { " + text)


@given(MESSAGES, st.integers(1, 400))
def test_a_cut_text_gives_what_stands_before_the_cut(message: dict, at: int) -> None:
    text = dump(message)
    parsed = parse(text[:at])
    assert set(parsed.message) <= set(message) | {name[:n] for name in message for n in range(len(name))}


def test_the_mark_and_what_follows_are_left_out() -> None:
    text = 'goo.gle/debugonly    batch: 2 in: 16\nin: 17\ndtype: DT_FLOAT\nid: "a \\"b\\" L2$"\n -> ({eng2{}, x})'
    parsed = parse(text)
    assert parsed.message == {"batch": [2], "in": [16, 17], "dtype": ["DT_FLOAT"], "id": ['a "b" L2$']}
    assert text[parsed.end :].strip() == "-> ({eng2{}, x})"
    assert not parsed.cut


def test_forms_of_values() -> None:
    parsed = parse("a: [1, -2] b <c: 0x1F> [x.y/z.T] { d: 1.5e3; e: 'q' 'r' } f: \"\\377\" # rest\n g: -inf")
    assert plain(parsed.message) == {
        "a": [1, -2], "b": {"c": 31}, "[x.y/z.T]": {"d": 1500.0, "e": "qr"}, "f": "\xff", "g": float("-inf"),
    }  # fmt: skip
    assert first(parsed.message, "b", "c") == integer(parsed.message, "b", "c") == 31
    assert first(parsed.message, "b", "no") is None


def test_deep_nesting_is_no_fault() -> None:
    assert parse("a {" * 100_000).cut


@pytest.mark.parametrize(
    ("name", "results"),
    [
        ("autotune/xla_autotune_results_v3_h100_EXCERPT.textproto", 2),
        ("tf_standin_gpu/xla_autotune.textproto", 4),
    ],
)
def test_recorded_files_are_read_to_their_end(shared_data: Path, name: str, results: int) -> None:
    text = (shared_data / name).read_text()
    parsed = parse(text)
    assert text[parsed.end :].strip() == ""
    assert not parsed.cut
    assert len(parsed.message["results"]) == results
    assert parse(dump(parsed.message)).message == parsed.message
