"""What TensorFlow's own protobuf class reads in a profile, as plain data, to compare our reader with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tftrace.ingest.xplane.space import XSpace


def reference(path: Path) -> dict[str, Any]:
    """Every line, event and stat of the file, walked message by message."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space = xplane_pb2.XSpace.FromString(path.read_bytes())
    planes = []
    for plane in space.planes:
        names = {key: meta.name for key, meta in plane.stat_metadata.items()}
        events = plane.event_metadata
        lines = []
        for line in plane.lines:
            rows = []
            for event in line.events:
                key = event.metadata_id
                meta = events.get(key)
                nameless = f"(unknown event {key})" if meta is None else f"(event {key} without a name)"
                rows.append(
                    {
                        "name": (meta and meta.name) or nameless,
                        "display": meta.display_name if meta is not None else "",
                        "ps": line.timestamp_ns * 1000 + event.offset_ps,
                        "dur_ps": event.duration_ps,
                        "stats": _stats(event.stats, names),
                    }
                )
                if event.WhichOneof("data") == "num_occurrences" and event.num_occurrences != 1:
                    rows[-1]["occurrences"] = event.num_occurrences
            lines.append(
                {"id": line.id, "name": line.name, "display_name": line.display_name, "events": rows}
            )
        planes.append(
            {"id": plane.id, "name": plane.name, "stats": _stats(plane.stats, names), "lines": lines}
        )
    return {"planes": planes, "hostnames": list(space.hostnames), "errors": list(space.errors)}


def _stats(stats: Any, names: dict[int, str]) -> dict[str, Any]:
    out = {}
    for stat in stats:
        kind = stat.WhichOneof("value")
        if kind is None:
            continue
        value = getattr(stat, kind)
        if kind == "ref_value":
            value = names.get(value, f"(unknown reference {value})")
        elif kind == "bytes_value":
            value = {"hex": value.hex()}
        out[names.get(stat.metadata_id, f"(unknown stat {stat.metadata_id})")] = value
    return out


def read_back(space: XSpace) -> dict[str, Any]:
    """The same plain data out of our reader's columns."""
    stats: list[dict[str, Any]] = [{} for _ in range(len(space))]
    for name, column in space.stats.items():
        for event, value in zip(column.event.tolist(), column.values.tolist(), strict=True):
            stats[event][name] = _plain(value)
    began = space.start_walltime_ns or 0
    planes: list[dict[str, Any]] = [
        {"id": p.plane_id, "name": p.name, "stats": {k: _plain(v) for k, v in p.stats.items()}, "lines": []}
        for p in space.planes
    ]
    lines: list[dict[str, Any]] = []
    for line in space.lines:
        row = {"id": line.line_id, "name": line.name, "display_name": line.display_name, "events": []}
        lines.append(row)
        planes[line.plane]["lines"].append(row)
    for at, line_at in enumerate(space.line.tolist()):
        meta = space.metas[space.meta[at]]
        assert meta.name == space.names[space.name_code[at]]
        assert meta.plane == space.lines[line_at].plane
        lines[line_at]["events"].append(
            {
                "name": meta.name,
                "display": meta.display_name,
                "start_ns": int(space.start_ns[at]) - began,
                "dur_ns": int(space.dur_ns[at]),
                "dur_ps": int(space.dur_ps[at]),
                "stats": stats[at],
            }
        )
        if space.occurrences[at] != 1:
            lines[line_at]["events"][-1]["occurrences"] = int(space.occurrences[at])
    return {"planes": planes, "hostnames": space.hostnames, "errors": space.errors}


def in_ns(known: dict[str, Any]) -> dict[str, Any]:
    """The reference with picoseconds turned into what our reader promises: rounded down, ends too."""
    for plane in known["planes"]:
        for line in plane["lines"]:
            for event in line["events"]:
                ps = event.pop("ps")
                event["start_ns"] = ps // 1000
                event["dur_ns"] = (ps + event["dur_ps"]) // 1000 - ps // 1000
    return known


def _plain(value: Any) -> Any:
    return {"hex": value.hex()} if isinstance(value, bytes) else value
