"""TensorFlow profiles, one file or all below a TensorBoard log directory: `device_planes` adds their planes."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from tftrace.correlate.imports.facts import EPOCH, RELATIVE, Facts
from tftrace.correlate.ledger.profile_algorithms import ProfileAlgorithms, model_of
from tftrace.correlate.profiles.device_planes import add_space
from tftrace.correlate.tables.columns import NONE, TraceBuilder
from tftrace.ingest.tensorboard import Logdir
from tftrace.ingest.xplane.space import XSpace


def dated(record: XSpace | Logdir) -> bool:
    return all(space.absolute for _, space in _spaces(record))


def add(record: XSpace | Logdir, build: TraceBuilder, base_ns: int) -> Facts:
    """All planes of each profile. One that does not tell when it began (TensorFlow up to 2.15) begins at `base_ns`.

    A profile tells its host, by the name of its file, and no process: `pid` is null.
    """
    entries = events = 0
    devices: list[dict[str, Any]] = []
    processes: list[dict[str, Any]] = []
    planes: list[dict[str, Any]] = []
    algorithms = ProfileAlgorithms()
    for number, (path, space) in enumerate(_spaces(record)):
        host = (space.hostnames or [path.name.removesuffix(".xplane.pb")])[0]
        shift = 0 if space.absolute or not len(space) else base_ns - int(space.start_ns.min())
        before = build.event_count
        facts = add_space(space, build, algorithms, host=host, pid=NONE, shift_ns=shift, window=number)
        added = build.event_count - before
        entries += len(space)
        events += added
        devices += facts.devices
        processes.append(
            {"pid": None, "host": host, "threads": {str(t): n for t, n in facts.threads.items()}}
        )
        told = {
            "profile": str(path),
            "entries": len(space),
            "host_events": facts.host_events,
            "calls": facts.calls,
        }
        told |= asdict(facts.counts) | {"errors": space.errors, "warnings": space.warnings}
        planes.append(told)
    models = {str(d["name"]): model for d in devices if (model := model_of(d)) is not None}
    algorithms.add(build, models)
    absolute = dated(record)
    return Facts(
        entries=entries, events=events, lost=0, reason=None, clock=EPOCH if absolute else RELATIVE, processes=processes,
        devices=devices, details={"profiles": planes},
    )  # fmt: skip


def _spaces(record: XSpace | Logdir) -> list[tuple[Path, XSpace]]:
    return record.profiles if isinstance(record, Logdir) else [(record.path, record)]
