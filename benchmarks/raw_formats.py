"""Files of other programs read and imported, beside what one would write to read them.

    python benchmarks/raw_formats.py [--quick] [--json] [--entries N] [FORMAT ..]

Each part is a process on one core: the reader alone, `tftrace import` as a whole (joined and written as a trace; not of
a run's own records), and the peer: what one would write first in Python, with the libraries that are there, to get the
same numbers into lists. The files are made (made_records.py). CPU time counts; memory is what a process needed beyond
what it had before, the libraries imported.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import re
import resource
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import made_records
import numpy as np
import readers
from measure import Spent, machine, machine_line, on_one_core, print_document, table

from tftrace.ingest.agent_raw import read_process
from tftrace.ingest.agent_tf_log import LoggedMessages
from tftrace.ingest.agent_verbose import read_verbose
from tftrace.ingest.executor_log import read_executor_log
from tftrace.ingest.tf_log import parse_message

ROUNDS = 2
"""Processes of each part, of which the quickest counts."""
PEER_ENTRIES = 200_000
ENTRIES = 1_000_000

_VERBOSE_LINE = re.compile(rb"(\d{1,10}) (\d{1,19}) (\d{1,19}) ([^\0\n]*)\n")
_MESSAGE_HEAD = re.compile(rb"(\d{1,10}) (\d{1,19}) (\d{1,19}) (\d{1,9}) (\d{1,9}) ")
_NODE_RUN = re.compile(
    r"(Process node|kernel done): (\d+) step (\d+) \{\{node ([^}]*)\}\} = (\w+)\[(.*)\]\((.*?)\) device: (\S*)"
)
_OUTPUT = re.compile(r'step_id: (\d+) kernel_name: "([^"]*)"')
_TF_HEAD = re.compile(rb"^([IWEF])\d{4} \S+ +(\d+) ([^:]+):(\d+)\] (.*)", re.MULTILINE)


def peer_onednn(path: Path) -> int:
    """Fields split at commas, as oneDNN's own parser of verbose logs does it (scripts/verbose_converter)."""
    found = []
    with path.open(newline="") as file:
        for row in csv.reader(file):
            if len(row) > 5 and row[0] == "onednn_verbose" and row[4] == "exec":
                found.append((float(row[2]), row[6], row[7], row[8], row[9], row[-2], float(row[-1])))
    return len(found)


def peer_cudnn(path: Path) -> int:
    return len(readers.line_loop(path.read_bytes()))


def peer_tf(path: Path) -> int:
    return len(_TF_HEAD.findall(path.read_bytes()))


def peer_chrome(path: Path) -> int:
    rows = []
    with gzip.open(path, "rb") as file:
        events = json.load(file)["traceEvents"]
    for event in events:
        if event.get("ph") == "X":
            row = (event["name"], event["ts"], event["dur"], event["pid"], event["tid"], event.get("args"))
            rows.append(row)
    return len(rows)


def peer_nsys(path: Path) -> int:
    with sqlite3.connect(path) as base:
        names = dict(base.execute("SELECT id, value FROM StringIds"))
        rows = [
            (names[name], start, end, thread, correlation)
            for table, id_, who in (
                ("RUNTIME", "nameId", "globalTid"),
                ("KERNEL", "demangledName", "globalPid"),
            )
            for name, start, end, thread, correlation in base.execute(
                f"SELECT {id_}, start, end, {who}, correlationId FROM CUPTI_ACTIVITY_KIND_{table}"
            )
        ]
    return len(rows)


def peer_verbose(path: Path) -> int:
    found = []
    for line in _VERBOSE_LINE.finditer(path.read_bytes()):
        text = line[4].decode("utf-8", "replace")
        if ",exec," in text:
            head, _, ms = text.rpartition(",")
            found.append((line.start(), int(line[1]), int(line[2]), int(line[3]), head, float(ms)))
    return len(found)


def read_messages(path: Path) -> None:
    for some in LoggedMessages(path):
        for at in some.forms:
            parse_message(some.text(at))


def peer_messages(path: Path) -> int:
    data, found, at = path.read_bytes(), [], 0
    while head := _MESSAGE_HEAD.match(data, at):
        tid, t, call, level, length = (int(part) for part in head.groups())
        text = data[head.end() : head.end() + length]
        found.append((tid, t, call, level, text, parse_message(text)))
        at = -(-(head.end() + length + 1) // 32) * 32
    return len(found)


def peer_executor(path: Path) -> int:
    runs, made, count = [], {}, 0
    for line in path.read_bytes().replace(b"\0", b"").splitlines():
        tid, t, message = line.decode().split(" ", 2)
        count += 1
        if run := _NODE_RUN.search(message):
            runs.append((int(tid), int(t), *run.groups()))
        elif output := _OUTPUT.search(message):
            made[output[1], output[2]] = re.findall(r"size: (\d+)", message)
    return count


def read_records(path: Path) -> None:
    """Every column of every record: they are mapped, so opening them reads nothing."""
    raw = read_process(path)
    for records in (raw.dispatch, raw.itt, raw.onednn):
        for _, some in raw.pieces(records):
            for column in some.dtype.names or ():
                np.ascontiguousarray(some[column])


def peer_records(path: Path) -> int:
    return sum(
        len(list(record.struct.iter_unpack((path / name).read_bytes())))
        for name, record in made_records.RECORDS.items()
    )


@dataclass(frozen=True)
class Format:
    """`read` is the reader where it is none of those that `tftrace import` chooses from."""

    file: str
    title: str
    make: Callable[[Path, int], None]
    peer: Callable[[Path], int]
    beside: str
    read: Callable[[Path], object] | None = None

    @property
    def parts(self) -> tuple[tuple[str, str], ...]:
        """What is measured, and of which size."""
        imported = (("import", "large"),) if self.read is None else ()
        return ("read", "large"), *imported, ("peer", "small")


FORMATS: dict[str, Format] = {
    "onednn": Format(
        "onednn.log", "oneDNN verbose log", made_records.onednn_log, peer_onednn, "a loop over csv rows"
    ),
    "cudnn": Format("cudnn.log", "cuDNN log", made_records.cudnn_log, peer_cudnn, "a loop over lines"),
    "tf": Format("tf.log", "TensorFlow log", made_records.tf_log, peer_tf, "re.findall"),
    "chrome": Format(
        "x.trace.json.gz", "Chrome trace", made_records.chrome_trace, peer_chrome, "json.load and a loop"
    ),
    "nsys": Format(
        "x.sqlite", "nsys export", made_records.nsys_export, peer_nsys, "a loop over sqlite3's rows"
    ),
    "verbose": Format(
        "verbose.bin", "a run's own verbose.bin", made_records.verbose, peer_verbose,
        "a loop over re.finditer", read_verbose,
    ),
    "messages": Format(
        "tf_log.bin", "a run's own tf_log.bin", made_records.messages, peer_messages,
        "a loop over messages", read_messages,
    ),
    "executor": Format(
        "executor.bin", "a run's own executor.bin", made_records.executor, peer_executor,
        "a loop of re.search", read_executor_log,
    ),
    "records": Format(
        "process", "a run's own dispatch.bin, itt.bin, onednn.bin", made_records.records, peer_records,
        "struct.iter_unpack", read_records,
    ),
}  # fmt: skip


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def part(name: str, kind: str, path: Path) -> dict[str, Any]:
    import pyarrow as pa

    from tftrace.correlate.imported import import_files
    from tftrace.ingest.registry import find
    from tftrace.store import tables

    pa.array([1]), tables  # imported before memory is looked at
    own = FORMATS[name].read
    reader = find(path).read if own is None else partial(own, path)
    before = _peak_mb()
    entries = None
    with tempfile.TemporaryDirectory(dir=path.parent) as place, Spent() as spent:
        if kind == "read":
            reader()
        elif kind == "import":
            import_files([path], Path(place) / "trace")
        else:
            entries = FORMATS[name].peer(path)
    return spent.facts(entries=entries, grown_mb=spent.peak_mb - before)


def measured(entries: int, place: Path, names: list[str], rounds: int = ROUNDS) -> dict[str, Any]:
    """For each format its size, and for each part seconds, entries and MB (unpacked) a second, and memory."""
    found: dict[str, Any] = {}
    for name in names:
        format_ = FORMATS[name]
        sizes = {"large": entries, "small": min(entries, PEER_ENTRIES)}
        paths = {size: place / f"{size}-{format_.file}" for size in sizes}
        for size, count in sizes.items():
            format_.make(paths[size], count)
        megabytes = {size: sum(map(len, made_records.pieces(path))) / 1e6 for size, path in paths.items()}
        parts = {}
        counted = on_one_core(__file__, "part", name, "peer", str(paths["small"]))
        per_mb = counted["entries"] / megabytes["small"]
        for kind, size in format_.parts:
            runs = [counted] if kind == "peer" else []
            while len(runs) < rounds:
                runs.append(on_one_core(__file__, "part", name, kind, str(paths[size])))
            best = min(runs, key=lambda run: float(run["cpu_s"]))
            mb = megabytes[size]
            rate = {"per_s": mb * per_mb / best["cpu_s"], "mb_s": mb / best["cpu_s"], "mb": mb}
            parts[kind] = best | rate | {"grown_mb": min(run["grown_mb"] for run in runs)}
        found[name] = {
            "title": format_.title, "entries": round(megabytes["large"] * per_mb),
            "mb": megabytes["large"], "beside": format_.beside, "parts": parts,
        }  # fmt: skip
        for path in paths.values():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return found


def main() -> None:
    if sys.argv[1:2] == ["part"]:
        print(json.dumps(part(sys.argv[2], sys.argv[3], Path(sys.argv[4]))))
        return
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("formats", nargs="*", help=f"default: all of {', '.join(FORMATS)}")
    parser.add_argument("--quick", action="store_true", help="10,000 entries: shows that it runs")
    parser.add_argument(
        "--entries", type=int, help="of each file; default: 1,000,000, or 10,000 with --quick"
    )
    parser.add_argument("--rounds", type=int, help=f"default: {ROUNDS}, or 1 with --quick")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    names = options.formats or list(FORMATS)
    if unknown := set(names) - FORMATS.keys():
        parser.error(f"no format {', '.join(sorted(unknown))}; choose from {', '.join(FORMATS)}")
    entries = options.entries or (10_000 if options.quick else ENTRIES)
    with tempfile.TemporaryDirectory() as place:
        found = measured(entries, Path(place), names, options.rounds or (1 if options.quick else ROUNDS))
    if options.json:
        print_document({"benchmark": "raw_formats", "machine": machine(), "formats": found})
        return
    print(f"{machine_line()}\n")
    rows = []
    for one in found.values():
        titles = {
            "read": f"{one['title']}: reader",
            "import": "  tftrace import",
            "peer": f"  {one['beside']}",
        }
        for kind, here in one["parts"].items():
            cells = (here["mb"], here["cpu_s"], here["per_s"] / 1e6, here["mb_s"], here["grown_mb"])
            shown = [f"{cell:,.{digits}f}" for cell, digits in zip(cells, (0, 2, 2, 0, 0), strict=True)]
            rows.append([titles[kind], *shown])
    print(table(["", "MB", "CPU s", "M entries/s", "MB/s", "memory MB"], rows))


if __name__ == "__main__":
    main()
