"""All numbers of docs/performance.md, measured in one go and written there.

    python benchmarks/report.py [--quick] [--print]

Takes about ten minutes on a machine with nothing else to do; `--quick` shows in one that everything runs, and only
prints. Every row stands beside its peer, measured in the same run by the script that the row names; each of these
scripts runs alone too, and says then how it measures.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import correlate
import profile_reader
import questions
import raw_formats
import run_join
from measure import ROOT, environment, machine_line

PAGE = ROOT / "docs" / "performance.md"
TABLE = re.compile(r"(<!-- results -->\n).*?(<!-- end -->)", re.S)
HEAD = "| what | goal | here | beside | script |\n|---|---|---|---|---|\n"

Row = tuple[str, str, str, str, str]


def script(name: str, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, str(ROOT / "benchmarks" / name), "--json", *arguments]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def reading(events: int, place: Path, xprof: str, rounds: int) -> Iterator[Row]:
    found = profile_reader.measured(events, place, xprof, rounds)
    parts = found["parts"]
    peer, other = parts["protobuf"], found["xprof"]
    per_s = {name: f"{part['per_s'] / 1e6:.2f} M events/s" for name, part in parts.items()}
    ratio = parts["read"]["per_s"] / peer["per_s"]
    beside = f"protobuf and a Python loop {per_s['protobuf']} (x{ratio:.0f})"
    what = f"profile of {found['events']:,} events into columns, one core, CPU time"
    yield what, ">= 10 M events/s", per_s["read"], beside, "profile_reader.py"
    here = f"{per_s['parquet']}, peak {parts['parquet']['peak_mb']:,.0f} MB"
    beside = f"pyarrow alone, with these columns, {per_s['written']}" + (
        ""
        if other is None
        else f"; XProf {other['version']} to Parquet {other['per_s'] / 1e6:.2f} M events/s, "
        f"peak {other['peak_mb']:,.0f} MB for {other['events']:,} events"
    )
    goal = f">= 10 M events/s, <= {found['memory_goal_mb']:,.0f} MB"
    yield "the same line by line into events.parquet", goal, here, beside, "profile_reader.py"


def other_formats(entries: int, place: Path, rounds: int) -> Iterator[Row]:
    for one in raw_formats.measured(entries, place, list(raw_formats.FORMATS), rounds).values():
        read, peer, whole = one["parts"]["read"], one["parts"]["peer"], one["parts"].get("import")
        here = f"{read['per_s'] / 1e6:.2f} M entries/s, {read['mb_s']:,.0f} MB/s, {read['grown_mb']:,.0f} MB of memory"
        yield (
            f"{one['title']} of {one['entries']:,} entries, {one['mb']:,.0f} MB, read on one core, CPU time", "", here,
            f"{one['beside']} {peer['per_s'] / 1e6:.2f} M entries/s, {peer['grown_mb']:,.0f} MB for "
            f"{peer['mb']:,.0f} MB", "raw_formats.py",
        )  # fmt: skip
        if whole is None:
            continue
        here = f"{whole['per_s'] / 1e6:.2f} M entries/s, {whole['grown_mb']:,.0f} MB of memory"
        yield "the same imported: read, joined and written", "", here, "", "raw_formats.py"


def joining(sizes: list[int], place: Path, rounds: int) -> Iterator[Row]:
    found = correlate.measured(sizes, place, rounds)
    each = ", ".join(f"{one['join_s'] / one['events'] * 1e6:.2f}" for one in found["join"])
    last, near, pairs = found["join"][-1], found["merge_asof"], found["interval_join"]
    beside = (
        f"merge_asof {near['cpu_s']:.1f} s for one question; duckdb's interval join of {pairs['events']:,} events "
        f"{pairs['cpu_s']:.1f} s"
    )
    here = f"{last['join_s']:.1f} s; us an event at {', '.join(f'{s:,}' for s in sizes)}: {each}"
    yield (
        f"join {last['events']:,} events, one core, CPU time",
        "<= 20 s, linear",
        here,
        beside,
        "correlate.py",
    )
    whole = last["read_s"] + last["join_s"] + last["write_s"]
    peaks = ", ".join(f"{one['peak_mb']:,.0f}" for one in found["join"])
    here = f"{whole:.1f} s; peak MB {peaks}: {correlate.growth(found['join']):.0f} bytes an event"
    yield "the same read, joined and written", "", here, "", "correlate.py"


def running(sizes: list[int], place: Path, rounds: int) -> Iterator[Row]:
    found = run_join.measured(sizes, place, rounds)
    each = ", ".join(f"{one['cpu_s'] / one['events'] * 1e6:.2f}" for one in found["join"])
    peaks = ", ".join(f"{one['peak_mb']:,.0f}" for one in found["join"])
    last, near = found["join"][-1], found["merge_asof"]
    yield (
        f"a run of {last['events']:,} events joined and written, one core, CPU time", "",
        f"{last['cpu_s']:.1f} s; us an event at {', '.join(f'{s:,}' for s in sizes)}: {each}; "
        f"peak MB {peaks}: {correlate.growth(found['join']):.0f} bytes an event",
        f"merge_asof of its {near['events']:,} records {near['cpu_s']:.1f} s for one question", "run_join.py",
    )  # fmt: skip


def asking(events: int, place: Path, rounds: int) -> Iterator[Row]:
    found = questions.measured(events, place, rounds)["commands"]
    for ours, by_hand in (
        ("tftrace summary", "duckdb: time by op"),
        ("tftrace why conv2d", "duckdb: kernels of Conv2D"),
    ):
        here, peer = found[ours], found[by_hand]
        yield (
            f"`{ours}` of {events:,} events", "<= 3 s", _taken(here), f"{by_hand} {_taken(peer)}", "questions.py",
        )  # fmt: skip
    others = questions.asked_once(events, place)
    for name in questions.PICTURES:
        yield f"`{name}` of {events:,} events", "", _taken(others[name]), "", "questions.py"


def _taken(one: dict[str, float]) -> str:
    return f"{one['wall_s']:.1f} s ({one['cpu_s']:.1f} s CPU), peak {one['peak_mb']:,.0f} MB"


def recording(quick: bool) -> Iterator[Row]:
    plans = [
        ("relu", "4", "12"),
        ("conv2d_small", "4", "12"),
        ("conv2d_large", "3", "20"),
        ("keras_step", "3", "20"),
        ("keras_step_later", "3", "20"),
    ]
    for name, rounds, turns in plans[:1] if quick else plans:
        size = ["--quick"] if quick else ["--rounds", rounds, "--turns", turns]
        for one in script("overhead.py", *size, name)["workloads"]:
            rows = one["variants"]
            ours = rows["tftrace"]
            peers = [f"{peer} {_ratio(rows[peer])}" for peer in ("tf_profiler", "viztracer") if peer in rows]
            yield (
                f"{one['what']}, recorded with the default probes, to bare", f"<= x{ours['goal']}: {ours['verdict']}",
                _ratio(ours), ", ".join(peers), "overhead.py",
            )  # fmt: skip


def _ratio(row: dict[str, Any]) -> str:
    value = row["ratio"]
    interval = "" if value["low"] is None else f" [{value['low']:.3f}, {value['high']:.3f}]"
    return f"x{value['median']:.3f}{interval}"


def starting(quick: bool) -> Iterator[Row]:
    found = script("startup.py", *(["--quick"] if quick else ["--rounds", "15"]))
    ms = {name: f"{value['median']:.0f} ms" for name, value in found["ms"].items()}
    for name, goal in found["goals_ms"].items():
        pandas, bare = ms["python -c 'import pandas'"], ms["python -c pass"]
        beside = f"`import pandas` {pandas}, bare Python {bare}"
        yield f"`{name}`", f"<= {goal:.0f} ms: {found['verdicts'][name]}", ms[name], beside, "startup.py"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small: shows that it runs, writes nothing")
    parser.add_argument("--print", action="store_true", help="print the table instead of writing the page")
    parser.add_argument("--xprof", default=sys.executable, help="an interpreter that has XProf (PyPI: xprof)")
    options = parser.parse_args()
    sizes = [20_000, 60_000] if options.quick else [1_000_000, 3_000_000, 10_000_000]
    began = time.monotonic()
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for rows in (
            starting(options.quick), recording(options.quick),
            reading(sizes[-1], place, options.xprof, 1 if options.quick else profile_reader.ROUNDS),
            other_formats(10_000 if options.quick else raw_formats.ENTRIES, place, 1),
            joining(sizes, place, 1 if options.quick else correlate.ROUNDS),
            running(
                [size * 5 for size in sizes] if options.quick else sizes, place, 1 if options.quick else run_join.ROUNDS
            ),
            asking(sizes[-1], place, 1 if options.quick else 3),
        ):  # fmt: skip
            for row in rows:
                lines.append("| " + " | ".join(row) + " |")
                print(lines[-1], flush=True)
    if options.quick or options.print:
        return
    minutes = (time.monotonic() - began) / 60
    body = f"{machine_line()}; {minutes:.0f} minutes.\n\n{HEAD}" + "\n".join(lines) + "\n"
    PAGE.write_text(TABLE.sub(lambda found: found[1] + body + found[2], PAGE.read_text()))


if __name__ == "__main__":
    main()
