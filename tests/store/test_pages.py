"""Arrays on disk hold what arrays in memory hold, also where the disk has no room for them."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tftrace.store import pages
from tftrace.store.pages import Pages

LARGE = 3 * pages.SMALLEST // 8


def mapped_kb() -> int:
    """What of mapped files is in this process's memory."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("RssFile:")[1].split()[0])


def written(to: Pages, rows: int, step: int) -> np.ndarray:
    column = to.column(np.int64)
    for first in range(0, rows, step):
        column.add(np.arange(first, min(first + step, rows)))
    assert column.rows == rows
    return column.array()


@pytest.mark.parametrize("rows", [0, 1, 1000, LARGE])
@pytest.mark.parametrize("step", [700, 1 << 16, 1 << 20])
def test_a_column_is_what_was_added(tmp_path: Path, rows: int, step: int) -> None:
    assert np.array_equal(written(Pages(tmp_path), rows, step), np.arange(rows))
    assert list(tmp_path.iterdir()) == []  # its file has no name


@given(st.lists(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=30), max_size=20))
def test_pieces_of_any_size_stand_one_behind_the_other(pieces: list[list[int]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "SMALLEST", 40)
        patch.setattr(pages, "_BLOCK", 40)
        column, seen = Pages().column(np.int32), 0
        known = [value for piece in pieces for value in piece]
        for piece in pieces:
            values = np.array(piece, np.int32)
            column.add(values)
            values[:] = 0  # the caller's own
            assert column.part(seen // 2, column.rows).tolist() == known[seen // 2 : column.rows]
            seen = column.rows
        assert column.array().tolist() == known


def test_what_was_given_back_is_read_again(tmp_path: Path) -> None:
    made = Pages(tmp_path)
    rows = 8 * LARGE
    column = written(made, rows, 1 << 16)
    assert column.sum() == rows * (rows - 1) // 2
    before = mapped_kb()
    made.give_back()
    assert before - mapped_kb() > rows * 8 // 1024 * 0.9
    assert column[-1] == rows - 1


def test_a_filled_array_keeps_what_is_written_to_it(tmp_path: Path) -> None:
    made = Pages(tmp_path)
    array = made.filled(np.int32, 2 * LARGE, -1)
    assert (array == -1).all()
    array[::1000] = np.arange(len(array))[::1000]
    made.give_back()
    assert array[1000] == 1000
    assert array[1001] == -1


def test_an_array_outlives_the_pages_it_came_from(tmp_path: Path) -> None:
    array = written(Pages(tmp_path), LARGE, 1 << 16)
    assert array[-1] == LARGE - 1


def test_files_are_closed_with_their_arrays(tmp_path: Path) -> None:
    made = Pages(tmp_path)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        written(made, LARGE, 1 << 16)
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file can be larger than a megabyte and a bit: writing more fails, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (pages.SMALLEST + 12_345, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("small_files")
@pytest.mark.parametrize("step", [700, 1 << 16])
def test_where_the_disk_is_full_the_rest_is_in_memory(tmp_path: Path, step: int) -> None:
    made = Pages(tmp_path)
    assert np.array_equal(written(made, LARGE, step), np.arange(LARGE))
    array = made.filled(np.int64, LARGE, 5)
    array[7] = 6
    assert array[:9].tolist() == [5, 5, 5, 5, 5, 5, 5, 6, 5]


def test_where_no_file_can_be_made_arrays_are_in_memory(tmp_path: Path) -> None:
    made = Pages(tmp_path / "missing")
    assert np.array_equal(written(made, LARGE, 1 << 16), np.arange(LARGE))


def test_large_files_go_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/somewhere")
    assert pages._spacious() is None
    monkeypatch.delenv("TMPDIR")
    for allowed, place in ((True, Path("/var/tmp")), (False, None)):
        monkeypatch.setattr(os, "access", lambda path, mode, allowed=allowed: allowed)
        assert pages._spacious() == place
