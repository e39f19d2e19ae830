"""Columns grow in place, and lines read one after the other hold what the whole file holds."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.ingest import wire_writer as write
from tests.ingest.xplane.test_reference import DATA, event, plane
from tftrace.ingest.xplane.columns import Columns, Grown
from tftrace.ingest.xplane.layout import read_layout
from tftrace.ingest.xplane.profile import Profile
from tftrace.ingest.xplane.space import read_xspace


@pytest.mark.parametrize("held", [True, False])
def test_an_array_keeps_its_rows_when_it_grows_even_where_somebody_holds_some(held: bool) -> None:
    array = Grown(np.int64, 4)
    array.filled(0, 4)[:] = range(4)
    for rows in (100, 1 << 17, 1 << 20, 1 << 22):
        known = array.filled(0, 4) if held else None
        array.grow(rows)
        array.filled(rows - 1, rows)[:] = rows
        assert array.filled(0, 4).tolist() == [0, 1, 2, 3]
        assert known is None or known.tolist() == [0, 1, 2, 3]
    assert array.filled((1 << 20) - 1, 1 << 20).tolist() == [1 << 20]


def test_events_that_are_taken_back_leave_the_others() -> None:
    columns = Columns()
    columns.add_stat(70, 3, [0, 5, 5, 9], [1, 2, 3, 4])
    columns.add_stat(2, 4, [7], [8])
    columns.forget(5)
    ((key, (at, bits)),) = columns.stats().items()
    assert (key, at.tolist(), bits.tolist()) == ((70, 3), [0], [1])


def one_by_one(path: Path, native: bool) -> dict[str, Any]:
    """What `lines` gives, copied line by line since the next one takes its place."""
    parts: dict[str, list[Any]] = {
        name: [] for name in ("start_ns", "dur_ns", "dur_ps", "name", "occurrences")
    }
    stats: dict[str, list[tuple[int, Any]]] = {}
    with open(path, "rb") as file:
        profile = Profile(read_layout(path, file), native=native)
        for line, events in profile.lines():
            (start,), _ = profile.starts([line])
            first = len(parts["name"])
            parts["start_ns"] += (events.start_ns + start).tolist()
            parts["dur_ns"] += events.dur_ns.tolist()
            parts["dur_ps"] += events.dur_ps.tolist()
            parts["name"] += [profile.metas[at].name for at in events.meta]
            parts["occurrences"] += (
                [1] * len(events) if events.occurrences is None else events.occurrences.tolist()
            )
            for (name, _), (at, bits) in events.stats.items():
                stats.setdefault(name, []).extend(zip((at + first).tolist(), bits.tolist(), strict=True))
    return {**parts, "stats": {name: len(rows) for name, rows in stats.items()}}


@pytest.mark.parametrize("native", [True, False], ids=["in C", "plain"])
def test_lines_one_by_one_hold_what_the_whole_file_holds(shared_data: Path, native: bool) -> None:
    files = sorted((shared_data / "xplane_gpu").glob("v100_tf23_*.xplane.pb"))
    assert files
    for path in [*files, *DATA.glob("*.xplane.pb")]:
        found, space = one_by_one(path, native), read_xspace(path, native=native)
        for name in ("start_ns", "dur_ns", "dur_ps", "occurrences"):
            assert found[name] == getattr(space, name).tolist(), name
        assert found["name"] == [space.names[code] for code in space.name_code]
        assert found["stats"] == {name: len(column.event) for name, column in space.stats.items()}


@pytest.mark.parametrize("native", [True, False], ids=["in C", "plain"])
def test_a_line_does_not_see_the_occurrences_of_the_one_before(tmp_path: Path, native: bool) -> None:
    path = tmp_path / "made.xplane.pb"
    path.write_bytes(write.block(1, plane(event(write.number(5, 7)) * 3, event() * 2)))
    assert one_by_one(path, native)["occurrences"] == [7, 7, 7, 1, 1]
    assert read_xspace(path, native=native).occurrences.tolist() == [7, 7, 7, 1, 1]


def test_many_ids_beyond_the_table_are_told_apart(tmp_path: Path) -> None:
    """Metadata, statistics and references by ids that are hashed."""
    ids = [(1 << 40) + 977 * at for at in range(3_000)]
    stat = write.number(1, 1 << 33)
    line = b"".join(
        write.block(4, write.number(1, key) + write.block(4, stat + write.number(7, key))) for key in ids
    )
    entries = b"".join(
        write.block(field, write.number(1, key) + write.block(2, write.block(2, f"{field}: {key}")))
        for field, keys in ((4, ids), (5, [*ids, 1 << 33]))
        for key in keys
    )
    path = tmp_path / "far.xplane.pb"
    path.write_bytes(write.block(1, write.block(2, "/host:CPU") + write.block(3, line) + entries))
    space = read_xspace(path, native=True)
    assert [space.names[code] for code in space.name_code] == [f"4: {key}" for key in ids]
    assert space.stats[f"5: {1 << 33}"].values.tolist() == [f"5: {key}" for key in ids]


def test_a_statistic_without_a_value_in_front_of_a_long_number_is_no_end(tmp_path: Path) -> None:
    """What stands behind it looks like its value, and is the duration of the event."""
    path = tmp_path / "made.xplane.pb"
    path.write_bytes(
        write.block(1, plane(event(write.block(4, write.number(1, 1)), write.number(3, -(10**6)))))
    )
    for native in (True, False):
        assert read_xspace(path, native=native).dur_ns.tolist() == [-1000]
