"""Texts on disk are those that were put down."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tftrace.store import pages
from tftrace.store.pages import Pages
from tftrace.store.texts import Texts

LISTS = st.lists(st.tuples(st.lists(st.text(max_size=9), max_size=9), st.integers(0, 4)), max_size=9)


@settings(deadline=None)
@given(LISTS, st.sampled_from([1, 40, 1 << 20]))
def test_arrays_are_what_was_added_parts_of_others_too(
    lists: list[tuple[list[str], int]], on_disk: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "SMALLEST", on_disk)
        patch.setattr(pages, "_BLOCK", on_disk)
        texts = Texts(Pages())
        numbers = [texts.add(pa.array(values, pa.string()).slice(first)) for values, first in lists]
        one_by_one = [texts.part(number).to_pylist() for number in numbers]
        arrays = texts.arrays()
    for array in arrays:
        array.validate(full=True)
    assert one_by_one == [array.to_pylist() for array in arrays]
    assert [arrays[number].to_pylist() for number in numbers] == [values[first:] for values, first in lists]


def test_large_ones_leave_memory_and_are_read_again(tmp_path: Path) -> None:
    made = Pages(tmp_path)
    texts = Texts(made)
    before = pa.total_allocated_bytes()
    for first in range(0, 200_000, 20_000):
        texts.add(pa.array([f"text {n} of many" for n in range(first, first + 20_000)]))
    assert pa.total_allocated_bytes() - before < 1 << 20
    arrays = texts.arrays()
    assert arrays[7].to_pylist()[11] == "text 140011 of many"
    made.give_back()
    assert arrays[7].to_pylist()[12] == "text 140012 of many"
    assert os.listdir(tmp_path) == []
