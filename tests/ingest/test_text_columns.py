"""Numbers and texts out of many lines together: as Python reads each by itself."""

from __future__ import annotations

import re

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tftrace.ingest.text_columns import begins, decimals, padded, quotients, texts_by_number

NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
TEXT = st.one_of(
    st.text("0123456789.", max_size=22),
    st.text("019.e+- ,", max_size=8),
    st.floats(0, 1e15).map(lambda x: f"{x:g}"),
    st.decimals(0, 10**12, places=6).map(str),
)


def laid_out(texts: list[str]) -> tuple[bytes, np.ndarray, np.ndarray]:
    data = ",".join(texts).encode()
    first = np.cumsum([0, *(len(t.encode()) + 1 for t in texts[:-1])])
    return data, first, first + np.array([len(t.encode()) for t in texts])


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXT, min_size=1, max_size=20))
def test_numbers_are_those_of_each_text(texts: list[str]) -> None:
    data, first, last = laid_out(texts)
    number, behind, fits = decimals(padded(data), first, last)
    value, exact = quotients(number, behind)
    for n, text in enumerate(texts):
        whole, _, part = text.partition(".")
        expected = NUMBER.fullmatch(text) is not None and len(whole + part) <= 19
        assert fits[n] == expected
        if expected:
            assert (int(number[n]), int(behind[n])) == (int(whole + part), len(part))
            assert not exact[n] or value[n] == float(text)
            assert exact[n] or len(text) > 15


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text("ab\xe9,", max_size=4).map(lambda t: t.replace(",", "")), min_size=1, max_size=30))
def test_texts_are_numbered_as_they_come(texts: list[str]) -> None:
    numbers, found = texts_by_number(*laid_out(texts))
    assert [found[n].decode() for n in numbers] == texts
    assert found == [t.encode() for t in dict.fromkeys(texts)]


def test_what_stands_where() -> None:
    data = b"dnnl_verbose,onednn_verbose"
    assert begins(padded(data), np.array([0, 1, 13, 20]), b"dnnl_verbose,").tolist() == [
        True,
        False,
        False,
        False,
    ]
    assert begins(padded(data), np.array([0, 13, len(data)]), b"onednn_v").tolist() == [False, True, False]
