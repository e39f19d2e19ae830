"""A TensorFlow profile read into columns, and its events written to Parquet, beside a loop over protobuf's messages.

    python benchmarks/profile_reader.py [--quick] [--json] [--events N] [--xprof PYTHON]

Each part is a process on one core, run a few times. The profile is made (made_profile.py): 3.6 statistics and 58 bytes
an event. Beside stand what the way to events.parquet is made of, and the peers, with a part of the events, to which
their memory belongs: a walk through TensorFlow's own classes event by event, to a column of each number and statistic;
and XProf's export to Parquet, where it is installed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from made_profile import write_profile
from measure import Spent, machine, machine_line, on_one_core, print_document, table

PEER_EVENTS = 200_000
GOAL_PER_S = 10e6
ROUNDS = 3
"""Processes of each part, of which the quickest counts: what disturbs a process only ever makes it slower."""
NOT_INSTALLED = 3
SLICE = 1 << 18
"""Events that are written at once."""


def read(path: Path, out: Path) -> dict[str, Any]:
    """All events as columns in memory: what correlation begins with."""
    from tftrace.ingest.xplane.schema import STATS
    from tftrace.ingest.xplane.space import read_xspace

    with Spent() as spent:
        events = len(read_xspace(path, STATS))
    return spent.facts(events=events)


def lines(path: Path, out: Path) -> dict[str, Any]:
    """Line by line, no statistics: what decoding alone takes of the way to events.parquet."""
    from tftrace.ingest.xplane.layout import read_layout
    from tftrace.ingest.xplane.profile import Profile

    with Spent() as spent, open(path, "rb") as file:
        found = [
            (len(one), one.start_ns.nbytes + one.dur_ns.nbytes + one.dur_ps.nbytes + one.meta.nbytes)
            for _, one in Profile(read_layout(path, file), ()).lines()
        ]
    return spent.facts(
        events=sum(count for count, _ in found), largest_line_mb=max(size for _, size in found) / 1e6
    )


def slices(path: Path, alone: bool) -> Iterator[Any]:
    """The columns of events.parquet that a profile has, line by line, nothing joined; `alone`: each slice has memory of
    its own and outlives the next one."""
    import numpy as np
    import pyarrow as pa

    from tftrace.ingest.xplane.layout import read_layout
    from tftrace.ingest.xplane.profile import Profile
    from tftrace.model.schemas import EVENTS

    empty = {field.name: pa.nulls(SLICE, field.type) for field in EVENTS}
    starts, codes = np.empty(SLICE, np.int64), np.empty(SLICE, np.int32)
    ids, tids = np.arange(SLICE), np.empty(SLICE, np.int64)
    pa.array(ids[:0])  # imports pandas, once
    known: dict[str, int] = {}  # a dictionary in which a name stands twice is written without it

    def made() -> Iterator[Any]:
        with open(path, "rb") as file:
            profile = Profile(read_layout(path, file), ())
            for line, events in profile.lines():
                (start,), _ = profile.starts([line])
                code_of = np.array([known.setdefault(m.name, len(known)) for m in profile.metas], np.int32)
                names = pa.array(known, pa.string())
                tids[:] = line.line_id
                for at in range(0, len(events), SLICE):
                    meta = events.meta[at : at + SLICE]
                    n = len(meta)
                    np.take(code_of, meta, out=codes[:n], mode="clip")
                    np.add(events.start_ns[at : at + n], start, out=starts[:n])
                    parts = [ids[:n], codes[:n], starts[:n], events.dur_ns[at : at + n], tids[:n]]
                    event_id, code, start_ns, dur_ns, tid = (
                        pa.array(part.copy() if alone else part) for part in parts
                    )
                    filled = {
                        "event_id": event_id, "start_ns": start_ns, "dur_ns": dur_ns, "tid": tid,
                        "name": pa.DictionaryArray.from_arrays(code, names, safe=False),
                    }  # fmt: skip
                    arrays = [filled.get(name, nothing[:n]) for name, nothing in empty.items()]
                    yield pa.Table.from_arrays(arrays, schema=EVENTS)
                    np.add(ids, n, out=ids)

    return made()


def parquet(path: Path, out: Path) -> dict[str, Any]:
    """Line by line to events.parquet."""
    from tftrace.store.tables import write_tables

    tables = slices(path, False)
    with Spent() as spent:
        rows = write_tables(out, {"events": tables})
    return spent.facts(events=rows["events"], file_mb=(out / "events.parquet").stat().st_size / 1e6)


def written(path: Path, out: Path) -> dict[str, Any]:
    """The same columns, there already: what pyarrow takes to write them, whatever stands in front of it."""
    from tftrace.store.tables import write_tables

    tables = list(slices(path, True))
    with Spent() as spent:
        rows = write_tables(out, {"events": tables})
    return spent.facts(events=rows["events"])


def copied(path: Path, out: Path) -> dict[str, Any]:
    """The bytes of the file into memory, once."""
    place = bytearray(1 << 20)
    with Spent() as spent, open(path, "rb", buffering=0) as file:
        while file.readinto(place):
            pass
    return spent.facts(events=None)


def protobuf(path: Path, out: Path) -> dict[str, Any]:
    from tensorflow.tsl.profiler.protobuf import xplane_pb2  # type: ignore[import-untyped,unused-ignore]

    with Spent() as spent:
        began = time.process_time()
        space = xplane_pb2.XSpace.FromString(path.read_bytes())
        parse_s = time.process_time() - began
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
    return spent.facts(events=len(names), parse_s=parse_s)


PARTS = {
    "read": read,
    "parquet": parquet,
    "lines": lines,
    "written": written,
    "copied": copied,
    "protobuf": protobuf,
}
TITLES = {
    "read": "to columns, with statistics",
    "parquet": "to events.parquet, line by line",
    "lines": "  of that: decoding the lines",
    "written": "  of that: pyarrow writing these columns",
    "copied": "  of that: the bytes of the file into memory",
    "protobuf": "protobuf and a Python loop, to lists",
    "parsed": "  of that: protobuf's parsing",
}


def measured(events: int, place: Path, xprof: str = sys.executable, rounds: int = ROUNDS) -> dict[str, Any]:
    large, small = place / f"{events}.xplane.pb", place / f"{PEER_EVENTS}.xplane.pb"
    for path, count in ((large, events), (small, min(PEER_EVENTS, events))):
        if not path.exists():
            write_profile(path, count)
    out = place / "events"
    out.mkdir(exist_ok=True)
    found = {}
    for name in PARTS:
        path = small if name == "protobuf" else large
        runs = [on_one_core(__file__, "part", name, str(path), str(out)) for _ in range(rounds)]
        found[name] = min(runs, key=lambda run: float(run["cpu_s"]))
        found[name]["events"] = found[name]["events"] or found["read"]["events"]
        found[name]["per_s"] = found[name]["events"] / found[name]["cpu_s"]
    peer = found["protobuf"]
    found["parsed"] = {**peer, "cpu_s": peer["parse_s"], "per_s": peer["events"] / peer["parse_s"]}
    limit = 2 * found["lines"]["largest_line_mb"] + 300
    return {
        "events": found["read"]["events"], "file_mb": large.stat().st_size / 1e6, "memory_goal_mb": limit,
        "parts": found, "xprof": exported(small, xprof),
    }  # fmt: skip


def exported(path: Path, python: str) -> dict[str, Any] | None:
    """XProf's own export of the events, by an interpreter that has it; None where it has not."""
    code = str(Path(__file__).parent / "xprof_export.py")
    done = subprocess.run([python, code, str(path)], capture_output=True, text=True, check=False)
    if done.returncode == NOT_INSTALLED:
        return None
    if done.returncode:
        raise RuntimeError(f"xprof_export.py ended with {done.returncode}:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    if sys.argv[1:2] == ["part"]:
        print(json.dumps(PARTS[sys.argv[2]](Path(sys.argv[3]), Path(sys.argv[4]))))
        return
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="100,000 events: shows that it runs")
    parser.add_argument("--events", type=int, help="default: 10,000,000, or 100,000 with --quick")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--xprof", default=sys.executable, help="an interpreter that has XProf (PyPI: xprof)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        found = measured(
            options.events or (100_000 if options.quick else 10_000_000), Path(place), options.xprof
        )
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
    lines_mb, goal = found["parts"]["lines"]["largest_line_mb"], found["memory_goal_mb"]
    print(f"columns of the largest line: {lines_mb:,.0f} MB; goal: peak of events.parquet <= {goal:,.0f} MB")
    xprof = found["xprof"]
    if xprof is None:
        print("XProf's own export: not installed (give an interpreter that has it: --xprof PYTHON)")
    else:
        print(
            f"XProf {xprof['version']} to Parquet, {xprof['events']:,} events: {xprof['cpu_s']:.1f} s CPU, "
            f"{xprof['per_s'] / 1e6:.2f} M events/s, peak {xprof['peak_mb']:,.0f} MB; a file of "
            f"{xprof['written_mb']:,.0f} MB"
        )


if __name__ == "__main__":
    main()
