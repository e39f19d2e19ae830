"""Perfetto's own format: a `perfetto.protos.Trace` of track events.

Times are ns since the epoch; a clock snapshot says that this is the wall clock. Names, categories and arguments are
interned, each written once. A link between two threads is a flow. Field numbers: protos/perfetto/trace/
perfetto_trace.proto, which keeps them for good.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import IO, Any, Final

from tftrace.model.messages import FIXED64, INT32, INT64, STRING, UINT32, UINT64, Declared, message_class
from tftrace.model.trace import Trace
from tftrace.views.export.slices import Slices, Track, endings, numbered, read_slices, written

SUFFIX: Final = ".pftrace"

_BEGIN, _END = 1, 2  # TrackEvent.Type
_REALTIME, _BOOTTIME = 1, 6  # BuiltinClock; timestamps are of the second unless a packet says otherwise
_CLEARED, _NEEDED = 1, 2  # TracePacket.SequenceFlags
_EXPLICIT = 3  # TrackDescriptor.ChildTracksOrdering
_SEQUENCE = 1

_MESSAGES: Final[Declared] = {
    "Trace": [("packet", 1, "TracePacket", True)],
    "TracePacket": [
        ("clock_snapshot", 6, "ClockSnapshot", False),
        ("timestamp", 8, UINT64, False),
        ("trusted_packet_sequence_id", 10, UINT32, False),
        ("track_event", 11, "TrackEvent", False),
        ("interned_data", 12, "InternedData", False),
        ("sequence_flags", 13, UINT32, False),
        ("track_descriptor", 60, "TrackDescriptor", False),
    ],
    "ClockSnapshot": [("clocks", 1, "Clock", True)],
    "Clock": [("clock_id", 1, UINT32, False), ("timestamp", 2, UINT64, False)],
    "TrackEvent": [
        ("category_iids", 3, UINT64, True),
        ("debug_annotations", 4, "DebugAnnotation", True),
        ("type", 9, INT32, False),
        ("name_iid", 10, UINT64, False),
        ("track_uuid", 11, UINT64, False),
        ("flow_ids", 47, FIXED64, True),
    ],
    "DebugAnnotation": [("name_iid", 1, UINT64, False), ("string_value_iid", 17, UINT64, False)],
    "InternedData": [
        ("event_categories", 1, "Named", True),
        ("event_names", 2, "Named", True),
        ("debug_annotation_names", 3, "Named", True),
        ("debug_annotation_string_values", 29, "InternedString", True),
    ],
    "Named": [("iid", 1, UINT64, False), ("name", 2, STRING, False)],
    "InternedString": [("iid", 1, UINT64, False), ("str", 2, STRING, False)],
    "TrackDescriptor": [
        ("uuid", 1, UINT64, False),
        ("name", 2, STRING, False),
        ("process", 3, "ProcessDescriptor", False),
        ("thread", 4, "ThreadDescriptor", False),
        ("parent_uuid", 5, UINT64, False),
        ("child_ordering", 11, INT32, False),
        ("sibling_order_rank", 12, INT32, False),
    ],
    "ProcessDescriptor": [("pid", 1, INT32, False), ("process_name", 6, STRING, False)],
    "ThreadDescriptor": [
        ("pid", 1, INT32, False),
        ("tid", 2, INT64, False),
        ("thread_name", 5, STRING, False),
    ],
}


@cache
def _trace_class() -> Any:
    return message_class("tftrace.perfetto", _MESSAGES, "Trace")


def write(trace: Trace, path: Path) -> None:
    slices = read_slices(trace)
    with written(path) as file:
        _Writer(file, slices).all()


class _Writer:
    def __init__(self, file: IO[bytes], slices: Slices) -> None:
        self.file, self.slices = file, slices
        kinds = slices.kinds
        self.names = numbered([kind.name for kind in kinds])
        self.categories = numbered([kind.layer for kind in kinds])
        self.keys = numbered([key for kind in kinds for key in kind.arguments])
        self.values = numbered([value for kind in kinds for value in kind.arguments.values()])
        self.flows: dict[int, list[int]] = {}
        for number, pair in enumerate(slices.flows, 1):
            for event in pair:
                self.flows.setdefault(event, []).append(number)

    def all(self) -> None:
        self._head()
        uuids = self._tracks(self.slices.tracks)
        heads = [self._head_of(kind) for kind in range(len(self.slices.kinds))]
        for uuid, members in zip(uuids, self.slices.by_track, strict=True):
            chunk = _trace_class()()
            for begins, event, at in endings(self.slices, members):
                packet = self._packet(chunk)
                packet.timestamp = self.slices.t0 + at
                if begins:
                    packet.track_event.CopyFrom(heads[self.slices.kind[event]])
                    packet.track_event.flow_ids.extend(self.flows.get(event, ()))
                packet.track_event.type = _BEGIN if begins else _END
                packet.track_event.track_uuid = uuid
                if len(chunk.packet) == 10_000:  # a Trace written behind another continues it
                    self.file.write(chunk.SerializeToString())
                    chunk = _trace_class()()
            self.file.write(chunk.SerializeToString())

    def _packet(self, chunk: Any) -> Any:
        return chunk.packet.add(trusted_packet_sequence_id=_SEQUENCE, sequence_flags=_NEEDED)

    def _head_of(self, number: int) -> Any:
        """The part of a track event that all events of one kind share."""
        kind = self.slices.kinds[number]
        event = _trace_class()().packet.add().track_event
        event.name_iid = self.names[kind.name]
        event.category_iids.append(self.categories[kind.layer])
        for key, value in kind.arguments.items():
            event.debug_annotations.add(name_iid=self.keys[key], string_value_iid=self.values[value])
        return event

    def _head(self) -> None:
        chunk = _trace_class()()
        clocks = chunk.packet.add(trusted_packet_sequence_id=_SEQUENCE).clock_snapshot.clocks
        for clock in (_REALTIME, _BOOTTIME):
            clocks.add(clock_id=clock, timestamp=self.slices.t0)
        packet = chunk.packet.add(trusted_packet_sequence_id=_SEQUENCE, sequence_flags=_CLEARED)
        data = packet.interned_data
        for held, numbers in (
            (data.event_names, self.names),
            (data.event_categories, self.categories),
            (data.debug_annotation_names, self.keys),
        ):
            for name, iid in numbers.items():
                held.add(iid=iid, name=name)
        for text, iid in self.values.items():
            data.debug_annotation_string_values.add(iid=iid, str=text)
        self.file.write(chunk.SerializeToString())

    def _tracks(self, tracks: list[Track]) -> list[int]:
        """Describes processes and tracks; returns the uuid of each track."""
        chunk = _trace_class()()
        processes = numbered([(track.pid, track.process) for track in tracks])
        for (pid, name), uuid in processes.items():
            descriptor = chunk.packet.add(trusted_packet_sequence_id=_SEQUENCE).track_descriptor
            descriptor.uuid, descriptor.child_ordering = uuid, _EXPLICIT
            if pid is None:
                descriptor.name = name
            else:
                descriptor.process.pid, descriptor.process.process_name = pid, name
        uuids = []
        threads: set[tuple[int, int]] = set()
        for rank, track in enumerate(tracks):
            uuid = len(processes) + 1 + rank
            descriptor = chunk.packet.add(trusted_packet_sequence_id=_SEQUENCE).track_descriptor
            descriptor.uuid, descriptor.sibling_order_rank = uuid, rank
            own = (track.pid, track.tid)
            if track.pid is not None and track.tid is not None and not track.part and own not in threads:
                threads.add((track.pid, track.tid))
                descriptor.thread.pid, descriptor.thread.tid = track.pid, track.tid
                descriptor.thread.thread_name = track.label
            else:
                descriptor.name = track.label
            descriptor.parent_uuid = processes[track.pid, track.process]
            uuids.append(uuid)
        self.file.write(chunk.SerializeToString())
        return uuids
