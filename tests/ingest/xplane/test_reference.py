"""Both decoders give, to the bit, what TensorFlow's own protobuf class reads, message by message."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from tests.ingest import wire_writer as write
from tests.ingest.made_profiles import PROFILES
from tests.ingest.xplane.reference import in_ns, read_back, reference
from tests.paging import put_on_disk
from tftrace.errors import InputError
from tftrace.ingest.xplane import native as xplane_native
from tftrace.ingest.xplane import space as xplane
from tftrace.ingest.xplane.space import XSpace, read_xspace
from tftrace.store.pages import Pages

DATA = Path(__file__).parents[1] / "data"


def same(one: XSpace, other: XSpace) -> None:
    """All columns are the same, types included; codes of texts may differ, what they stand for may not."""
    for name in ("start_ns", "dur_ns", "dur_ps", "line", "meta", "name_code", "occurrences"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    for name in (
        "planes",
        "lines",
        "metas",
        "names",
        "absolute",
        "options",
        "hostnames",
        "errors",
        "warnings",
    ):
        assert getattr(one, name) == getattr(other, name), name
    assert set(one.stats) == set(other.stats)
    for name, column in one.stats.items():
        event, values = other.stats[name]
        assert np.array_equal(column.event, event), name
        assert column.values.dtype == values.dtype, name
        if values.dtype == object:
            assert column.values.tolist() == values.tolist()
        else:
            assert np.array_equal(column.values.view(np.uint64), values.view(np.uint64)), name


def refused(path: Path, native: bool) -> bool:
    try:
        read_xspace(path, native=native)
    except InputError:
        return True
    return False


@pytest.mark.tf
@pytest.mark.parametrize("native", [True, False], ids=["in C", "plain"])
def test_recorded_profiles_of_other_machines_read_as_tensorflow_reads_them(
    shared_data: Path, native: bool
) -> None:
    pytest.importorskip("tensorflow.tsl.profiler.protobuf.xplane_pb2")
    files = [f for f in sorted(shared_data.glob("xplane_*/*.xplane.pb")) if "CORRUPT" not in f.name]
    assert len(files) >= 8
    for file in files:
        assert read_back(read_xspace(file, native=native)) == in_ns(reference(file)), file.name


def test_both_decoders_read_recorded_profiles_alike(shared_data: Path) -> None:
    files = [f for f in sorted(shared_data.glob("xplane_*/*.xplane.pb")) if "CORRUPT" not in f.name]
    for file in [*files, *DATA.glob("*.xplane.pb")]:
        same(read_xspace(file, native=True), read_xspace(file, native=False))


def test_columns_on_disk_hold_what_columns_in_memory_hold(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [f for f in sorted(shared_data.glob("xplane_*/*.xplane.pb")) if "CORRUPT" not in f.name]
    put_on_disk(monkeypatch, 997)
    for file in [*files, *DATA.glob("*.xplane.pb")]:
        known, read = read_xspace(file), read_xspace(file, pages=Pages())
        assert read.pages is not None
        read.give_back()
        same(replace(known, dur_ps=known.dur_ps[:0]), read)


@pytest.mark.tf
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=PROFILES)
def test_made_profiles_read_as_tensorflow_reads_them(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    pytest.importorskip("tensorflow.tsl.profiler.protobuf.xplane_pb2")
    path = tmp_path_factory.getbasetemp() / "made.xplane.pb"
    path.write_bytes(data)
    space = read_xspace(path, native=True)
    assert read_back(space) == in_ns(reference(path))
    same(space, read_xspace(path, native=False))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=PROFILES)
def test_made_profiles_cut_short_are_refused_by_both_decoders_alike(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "made.xplane.pb"
    for length in {len(data) // 3, len(data) // 2, len(data) - 1}:
        path.write_bytes(data[:length])
        assert refused(path, True) == refused(path, False)


def test_the_decoder_in_c_is_in_use_here() -> None:
    functions, why = xplane_native.library()
    assert functions is not None, why


def test_without_a_compiler_a_profile_reads_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = DATA / "eager_and_function.xplane.pb"
    known = read_xspace(path, native=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    xplane_native.library.cache_clear()
    try:
        assert "no C compiler" in str(xplane_native.library()[1])
        same(read_xspace(path), known)
    finally:
        xplane_native.library.cache_clear()


def event(*more: bytes) -> bytes:
    return write.block(4, write.number(1, 1) + b"".join(more))


def plane(*lines: bytes, names: int = 1) -> bytes:
    entries = b"".join(
        write.block(field, write.number(1, key) + write.block(2, write.block(2, f"name {key}")))
        for field in (4, 5)
        for key in range(1, names + 1)
    )
    return write.block(2, "/host:CPU") + b"".join(write.block(3, line) for line in lines) + entries


def test_events_behind_two_gigabytes_are_read(tmp_path: Path) -> None:
    """The file has a hole of 2.1 GB in front of the plane and another within it, in fields that nobody knows."""
    hole = (1 << 31) + 12345
    line = event(write.number(2, 5_000), write.block(4, write.number(1, 1) + write.number(4, -7)))
    inner = plane(line)
    path = tmp_path / "large.xplane.pb"
    with open(path, "wb") as file:
        file.write(write.varint(90 << 3 | 2) + write.varint(hole))
        file.seek(hole, 1)
        skipped = write.varint(91 << 3 | 2) + write.varint(hole)
        file.write(write.varint(1 << 3 | 2) + write.varint(len(skipped) + hole + len(inner)) + skipped)
        file.seek(hole, 1)
        file.write(inner)
    assert path.stat().st_blocks * 512 < 1 << 20
    space = read_xspace(path, native=True)
    assert (space.names, space.start_ns.tolist()) == (["name 1"], [5])
    assert space.stats["name 1"].values.tolist() == [-7]


def test_more_statistics_than_columns_are_kept_for(tmp_path: Path) -> None:
    many = 5_000
    line = b"".join(
        event(write.block(4, write.number(1, key) + write.number(4, key))) for key in range(1, many + 1)
    )
    path = tmp_path / "many.xplane.pb"
    path.write_bytes(write.block(1, plane(line, names=many)))
    space = read_xspace(path, native=True)
    assert {name: column.values.tolist() for name, column in space.stats.items()} == {
        f"name {key}": [key] for key in range(1, many + 1)
    }


def test_only_the_statistics_asked_for_are_read_and_others_are_not_said_to_be_absent() -> None:
    path = DATA / "eager_and_function.xplane.pb"
    whole, part = read_xspace(path), read_xspace(path, ["_p"])
    assert list(part.stats) == ["_p"]
    assert part.stats["_p"].values.tolist() == whole.stats["_p"].values.tolist()
    with pytest.raises(LookupError, match="'_c' was not read"):
        part.stat_ids("_c")


def test_a_file_cut_while_it_is_read_is_an_error_and_no_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cut.xplane.pb"
    path.write_bytes(write.block(1, plane(event() * 100_000)))

    def then_cut(path: Path, file: Any) -> Any:
        layout = read_layout(path, file)
        with open(path, "r+b") as again:
            again.truncate(100)
        return layout

    read_layout = xplane.read_layout
    monkeypatch.setattr(xplane, "read_layout", then_cut)
    with pytest.raises(InputError, match="became shorter while it was read"):
        read_xspace(path)
