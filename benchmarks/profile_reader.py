"""A TensorFlow profile read into columns, and its events written to Parquet, beside a loop over protobuf's messages.

    python benchmarks/profile_reader.py [--quick] [--json] [--events N]

Each part is a process on one core. The profile is made (made_profile.py): 3.6 statistics and 58 bytes an event. The
peer walks TensorFlow's own classes event by event and makes a column of each number and statistic, for a part of the
events; its time is given for as many events as the rest. `largest line` is what the columns of the largest line take.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from made_profile import write_profile
from measure import Spent, machine, machine_line, on_one_core, print_document, table

PEER_EVENTS = 200_000
GOAL_PER_S = 10e6
SLICE = 1 << 20
"""Events that are written at once."""


def read(path: Path, out: Path) -> dict[str, Any]:
    """All events as columns in memory: what correlation begins with."""
    from tftrace.ingest.xplane.schema import STATS
    from tftrace.ingest.xplane.space import read_xspace

    with Spent() as spent:
        events = len(read_xspace(path, STATS))
    return spent.facts(events=events)


def parquet(path: Path, out: Path) -> dict[str, Any]:
    """Line by line to the columns of events.parquet that a profile has, nothing joined."""
    import numpy as np
    import pyarrow as pa

    from tftrace.ingest.xplane.layout import read_layout
    from tftrace.ingest.xplane.profile import Profile
    from tftrace.model.schemas import EVENTS
    from tftrace.store.tables import write_tables

    largest = 0
    nothing = {field.name: pa.nulls(SLICE, field.type) for field in EVENTS}
    with Spent() as spent, open(path, "rb") as file:
        profile = Profile(read_layout(path, file), ())

        def slices() -> Any:
            nonlocal largest
            number = 0
            for line, events in profile.lines():
                (start,), _ = profile.starts([line])
                names = pa.array([meta.name for meta in profile.metas], pa.string())
                largest = max(
                    largest,
                    sum(part.nbytes for part in (events.start_ns, events.dur_ns, events.dur_ps, events.meta)),
                )
                for at in range(0, len(events), SLICE):
                    meta = events.meta[at : at + SLICE]
                    n = len(meta)
                    columns = {
                        "event_id": pa.array(np.arange(number, number + n)),
                        "name": pa.DictionaryArray.from_arrays(pa.array(meta), names),
                        "start_ns": pa.array(events.start_ns[at : at + n] + start),
                        "dur_ns": pa.array(events.dur_ns[at : at + n]),
                        "tid": pa.array(np.full(n, line.line_id)),
                    }
                    number += n
                    arrays = [columns.get(name, empty[:n]) for name, empty in nothing.items()]
                    yield pa.Table.from_arrays(arrays, schema=EVENTS)

        rows = write_tables(out, {"events": slices()})
    return spent.facts(events=rows["events"], largest_line_mb=largest / 1e6)


def protobuf(path: Path, out: Path) -> dict[str, Any]:
    from tensorflow.tsl.profiler.protobuf import xplane_pb2  # type: ignore[import-untyped,unused-ignore]

    with Spent() as spent:
        space = xplane_pb2.XSpace.FromString(path.read_bytes())
        names: list[str] = []
        starts, durations = [], []
        stats: dict[str, list[tuple[int, Any]]] = {}
        for plane in space.planes:
            metas = {key: meta.name for key, meta in plane.event_metadata.items()}
            known = {key: meta.name for key, meta in plane.stat_metadata.items()}
            for line in plane.lines:
                for event in line.events:
                    names.append(metas[event.metadata_id])
                    starts.append(line.timestamp_ns + event.offset_ps // 1000)
                    durations.append(event.duration_ps // 1000)
                    for stat in event.stats:
                        value = getattr(stat, stat.WhichOneof("value"))
                        stats.setdefault(known[stat.metadata_id], []).append((len(names) - 1, value))
    return spent.facts(events=len(names))


PARTS = {"read": read, "parquet": parquet, "protobuf": protobuf}
TITLES = {
    "read": "tftrace: to columns, with statistics",
    "parquet": "tftrace: to events.parquet, line by line",
    "protobuf": "protobuf and a Python loop, to lists",
}


def measured(events: int, place: Path) -> dict[str, Any]:
    large, small = place / f"{events}.xplane.pb", place / f"{PEER_EVENTS}.xplane.pb"
    for path, count in ((large, events), (small, min(PEER_EVENTS, events))):
        if not path.exists():
            write_profile(path, count)
    out = place / "events"
    out.mkdir(exist_ok=True)
    found = {}
    for name in PARTS:
        path = small if name == "protobuf" else large
        found[name] = on_one_core(__file__, "part", name, str(path), str(out))
        found[name]["per_s"] = found[name]["events"] / found[name]["cpu_s"]
    return {"events": found["read"]["events"], "file_mb": large.stat().st_size / 1e6, "parts": found}


def main() -> None:
    if sys.argv[1:2] == ["part"]:
        print(json.dumps(PARTS[sys.argv[2]](Path(sys.argv[3]), Path(sys.argv[4]))))
        return
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="100,000 events: shows that it runs")
    parser.add_argument("--events", type=int, help="default: 10,000,000, or 100,000 with --quick")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        found = measured(options.events or (100_000 if options.quick else 10_000_000), Path(place))
    if options.json:
        print_document(
            {"benchmark": "profile_reader", "machine": machine(), "goal_per_s": GOAL_PER_S, **found}
        )
        return
    print(f"{machine_line()}\n\n{found['events']:,} events, {found['file_mb']:,.0f} MB, one core")
    rows = []
    for name, part in found["parts"].items():
        rows.append(
            [TITLES[name], f"{part['cpu_s']:.2f}", f"{part['per_s'] / 1e6:.2f}", f"{part['peak_mb']:,.0f}"]
        )
    print(table(["", "CPU s", "M events/s", "peak MB"], rows))
    print(f"columns of the largest line: {found['parts']['parquet']['largest_line_mb']:,.0f} MB")


if __name__ == "__main__":
    main()
