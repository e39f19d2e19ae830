"""A file that is no profile, or a damaged one, is refused in one line."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tftrace.errors import InputError
from tftrace.ingest.xplane.space import read_xspace

DATA = Path(__file__).parents[1] / "data"


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_xspace(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def test_an_empty_file_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "vm.xplane.pb"
    path.touch()
    assert "above 2 GB" in refused(path)


@pytest.mark.parametrize(
    "data", [b"TensorFlow\n", b"{}", b"\x00" * 64, b"\x1f\x8b\x08\x00", b"PAR1" * 9, b"\n\x00"]
)
def test_other_files_are_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "other.xplane.pb"
    path.write_bytes(data)
    assert "not a TensorFlow profile" in refused(path)


def test_a_missing_file_and_a_directory_are_refused(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "none.xplane.pb")
    assert "directory" in refused(tmp_path)


def test_a_file_cut_anywhere_is_refused_or_holds_a_part(tmp_path: Path) -> None:
    data = (DATA / "eager_and_function.xplane.pb").read_bytes()
    whole = len(read_xspace(DATA / "eager_and_function.xplane.pb"))
    path = tmp_path / "cut.xplane.pb"
    read = 0
    for length in range(1, len(data), 7):
        path.write_bytes(data[:length])
        try:
            assert len(read_xspace(path)) <= whole
            read += 1
        except InputError:
            continue
    assert read <= 3  # only a cut between planes cannot be seen


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_damaged_file_never_ends_in_another_error(
    tmp_path_factory: pytest.TempPathFactory, data: Any
) -> None:
    raw = bytearray((DATA / "eager_and_function.xplane.pb").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.xplane.pb"
    path.write_bytes(raw)
    try:
        space = read_xspace(path, native=True)
    except InputError:
        return
    for column in space.stats.values():
        assert len(column.event) == len(column.values)
    assert len(space.name_code) == len(space.start_ns) == len(space.line)


def test_the_corrupt_recording_and_tensorflows_other_files_are_refused(shared_data: Path) -> None:
    files = [*shared_data.glob("xplane_tpu/*CORRUPT*"), *shared_data.glob("xplane_gpu/*_stats.pb")]
    assert len(files) == 11
    for file in files:
        assert "not a TensorFlow profile" in refused(file)
