"""A TensorFlow profile of any size, made of training steps as TensorFlow 2.21 records them on four GPUs.

    python benchmarks/made_profile.py FILE EVENTS

Every step holds: on the thread `python` eager ops and the call of a function; for each GPU a thread of the executor
with `ExecutorState::Process` around allocations, launches, copies and kernels of the CPU, and a stream with what was
launched, joined by correlation ids; two threads of tf.data with hand-overs nested in iterators. Statistics, their
types and what is a reference are those of recordings: 3.6 of them and some 48 bytes an event.

It is written line by line, so that ten million events need little memory here. The same arguments make the same file.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from wire_columns import PADDED, Piece, block, number, padded, put, size_of, varint

BEGAN = 1_795_690_000_000_000_000
STEP_NS = 10_000_000
GPUS = 4
SLOTS = 60  # ops a step and GPU
BATCH = 2048  # steps written at once

Made = Callable[[npt.NDArray[np.int64]], npt.NDArray[np.int64]]
"""What an event has in each of these steps."""


@dataclass
class Event:
    """One event of every step: `start` and `dur` are ns within the step, `stats` are (name, kind, value)."""

    name: str
    start: int
    dur: int
    stats: list[tuple[str, str, int | float | str | Made]] = field(default_factory=list)


@dataclass
class Line:
    line_id: int
    name: str
    events: list[Event]
    timestamp_ns: int = 1_000


class Names:
    """Metadata of one plane: names to ids."""

    def __init__(self) -> None:
        self.events: dict[str, int] = {}
        self.stats: dict[str, int] = {}

    def event(self, name: str) -> int:
        return self.events.setdefault(name, len(self.events) + 1)

    def stat(self, name: str) -> int:
        return self.stats.setdefault(name, len(self.stats) + 1)

    def message(self) -> bytes:
        out = []
        for at, table in ((4, self.events), (5, self.stats)):
            for name, key in table.items():
                out.append(block(at, number(1, key) + block(2, number(1, key) + block(2, name))))
        return b"".join(out)


def _noise(steps: npt.NDArray[np.int64], salt: int, below: int) -> npt.NDArray[np.int64]:
    """Repeatable pseudo-random numbers, one a step."""
    mixed = (steps.astype(np.uint64) + np.uint64(salt * 7919 + 1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(31)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    return ((mixed >> np.uint64(40)) % np.uint64(max(below, 1))).astype(np.int64)


def correlation(gpu: int, slot: int) -> Made:
    return lambda steps: (steps * GPUS + gpu) * 128 + slot + 1


def _run_id(steps: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return -9_198_780_063_598_734_699 + steps * 7


def _hand_over(thread: int, number_: int) -> Made:
    return lambda steps: (steps * 64 + thread * 32 + number_) * 2 + 1


def python_thread() -> list[Event]:
    out: list[Event] = []
    ops = ("Mul", "AddV2", "Sub", "Cast", "Relu", "MatMul", "Reshape", "Mean")
    for at in range(16):
        op, t = ops[at % len(ops)], 20_000 + at * 60_000
        out += [
            Event("TFE_Py_FastPathExecute_C", t, 50_000),
            Event("EagerExecute", t + 2_000, 44_000, [("eager_op", "ref", op), ("is_func", "int", 0)]),
            Event(f"EagerLocalExecute: {op}", t + 3_000, 42_000),
            Event("EagerCopyToDeviceAndAddCacheKey", t + 4_000, 3_000),
            Event("ValidateInputTypeAndPlacement", t + 9_000, 900),
            Event("EagerKernelExecute", t + 12_000, 30_000),
            Event("KernelAndDeviceFunc::Run", t + 13_000, 28_000),
            Event("TFE_DeleteTensorHandle", t + 51_000, 700),
        ]
    t = 1_200_000
    call: list[tuple[str, str, int | float | str | Made]] = [
        ("tf_function_call", "ref", "notTraced-nonXla"),
        ("tracing_count", "int", 1),
    ]
    out += [
        Event("one_step_on_data", t, 8_000_000, call),
        Event("TFE_Py_ExecuteCancelable", t + 5_000, 7_990_000),
        Event("EagerExecute", t + 6_000, 7_980_000,
              [("eager_op", "ref", "__inference_one_step_on_data_1584"), ("is_func", "int", 1)]),
        Event("EagerLocalExecute: __inference_one_step_on_data_1584", t + 7_000, 7_970_000),
        Event("EagerKernelExecute", t + 9_000, 7_960_000),
        Event("KernelAndDeviceFunc::Run", t + 10_000, 7_950_000),
        Event("FunctionRun", t + 11_000, 7_940_000,
              [("id", "int", _run_id), ("_pt", "int", 2), ("_p", "uint", _run_id)]),
    ]  # fmt: skip
    return out


def kernel_name(slot: int) -> str:
    kind = ("cutlass__5x_cudnn::Kernel<cutlass_tensorop_s1688fprop_optimized_tf32_128x128_16x4_nhwc_align4>",
            "sm90_xmma_wgrad_indexed_tf32f32_tf32f32_f32_nhwckrsc_nhwc_tilesize128x128x32_cudnn",
            "void tensorflow::BiasNHWCKernel<float>(int, float const*, float const*, float*, int)",
            "Relu_GPU_DT_FLOAT_DT_FLOAT_kernel")[slot % 4]  # fmt: skip
    return f"{kind}_{slot // 4}"


def op_of(slot: int) -> str:
    kind = ("Conv2D", "Conv2DBackpropFilter", "BiasAdd", "Relu")[slot % 4]
    return f"model/block_{slot // 8}/{kind.lower()}_{slot % 8}:{kind}"


def executor_thread(gpu: int) -> list[Event]:
    """What one thread of the executor does in a step: launches for its GPU, and a few kernels of the CPU."""
    begin, width = 1_300_000, 100_000
    out = [
        Event("ExecutorState::Process", begin - 5_000, SLOTS * width + 50_000,
              [("id", "int", _run_id), ("iter_num", "int", 0), ("_ct", "int", 2), ("_c", "uint", _run_id)])
    ]  # fmt: skip
    for slot in range(SLOTS):
        t, op = begin + slot * width, op_of(slot)
        if slot % 3 == 0:
            out.append(Event("MemoryAllocation", t, 1_500, _memory(op, slot)))
        if slot % 6 == 0:
            out.append(Event("MemoryDeallocation", t + 60_000, 1_200, _memory(op, slot)))
        if slot % 10 == 0:
            details = "kind_src:pageable kind_dst:device size:4096 dest:0 async:1"
            more = [("memcpy_details", "ref", details)]
            out.append(Event("MemcpyH2D", t + 20_000, 4_000, _launch(gpu, SLOTS + slot // 10) + more))
        out.append(Event(kernel_name(slot), t + 30_000, 5_000, _launch(gpu, slot)))
        if slot % 3 == 1:
            kind = ("NoOp", "Identity", "Shape", "StridedSlice")[slot % 4]
            out.append(Event(f"model/host_{slot}/{kind}:{kind}", t + 70_000, 2_500))
    return sorted(out, key=lambda e: (e.start, -e.dur))


def _launch(gpu: int, slot: int) -> list[tuple[str, str, int | float | str | Made]]:
    return [
        ("correlation_id", "uint", correlation(gpu, slot)), ("device_id", "uint", gpu),
        ("context_id", "str", f"$${gpu + 1}"),
        ("scope_range_id", "int", lambda steps: steps * SLOTS + min(slot, SLOTS - 1) + 1),
    ]  # fmt: skip


def _memory(op: str, slot: int) -> list[tuple[str, str, int | float | str | Made]]:
    used: Made = lambda steps: 70_000_000 + (steps % 97) * 256 + slot * 4096  # noqa: E731
    return [
        ("allocator_name", "ref", "GPU_0_bfc"), ("bytes_reserved", "int", 0), ("bytes_allocated", "int", used),
        ("bytes_available", "int", lambda steps: 135_143_190_528 - used(steps)),
        ("fragmentation", "double", 0.318409), ("peak_bytes_in_use", "int", 2_988_392_704),
        ("requested_bytes", "int", 4 << slot % 12), ("allocation_bytes", "int", 256 << slot % 8),
        ("addr", "int", lambda steps: 139_727_437_819_968 + (steps % 31) * 4096 + slot * 65536),
        ("id", "int", _run_id), ("data_type", "int", 1), ("tf_op", "ref", op.rpartition(":")[0]),
    ]  # fmt: skip


def stream(gpu: int) -> list[Event]:
    """The work that `executor_thread` launched, in the order of its launches."""
    out = []
    for slot in range(SLOTS):
        t = 1_340_000 + slot * 100_000
        if slot % 10 == 0:
            details = "kind_src:pageable kind_dst:device size:4096 dest:0 async:1"
            out.append(Event("MemcpyH2D", t - 5_000, 3_000, [
                ("correlation_id", "uint", correlation(gpu, SLOTS + slot // 10)),
                ("context_id", "str", f"$${gpu + 1}"), ("memcpy_details", "ref", details),
                ("tf_op", "ref", op_of(slot)),
            ]))  # fmt: skip
        grid = f"regs:{32 + slot} static_shared:0 dynamic_shared:8448 grid:{slot + 1},32,1 block:128,1,1 occ_pct:50"
        out.append(Event(kernel_name(slot), t + 10_000, 60_000, [
            ("correlation_id", "uint", correlation(gpu, slot)), ("context_id", "str", f"$${gpu + 1}"),
            ("scope_range_id", "int", lambda steps, slot=slot: steps * SLOTS + slot + 1),
            ("tf_op", "ref", op_of(slot)), ("kernel_details", "ref", grid),
            ("theoretical_occupancy_pct", "double", 50.0), ("occupancy_min_grid_size", "int", 132),
            ("occupancy_suggested_block_size", "int", 1024),
        ]))  # fmt: skip
    return out


def input_thread(thread: int) -> list[Event]:
    out: list[Event] = []
    for at in range(8):
        t = 100_000 + at * 1_000_000
        ids: list[tuple[str, str, int | float | str | Made]] = [
            ("element_id", "int", lambda steps, at=at: steps * 8 + at),
        ]
        out += [
            Event("ThreadpoolListener::StartRegion", t, 900_000,
                  [("_ct", "int", 15), ("_c", "uint", _hand_over(thread, at))]),
            Event("Iterator::Prefetch", t + 10_000, 880_000, ids),
            Event("Iterator::Prefetch::Map", t + 20_000, 800_000, ids),
            Event("Iterator::Prefetch::Map::TensorSlice", t + 30_000, 5_000),
        ]  # fmt: skip
    return out


KINDS = {"double": 2, "uint": 3, "int": 4, "str": 5, "bytes": 6, "ref": 7}


def pieces_of(event: Event, at: int, names: Names, steps: npt.NDArray[np.int64]) -> list[Piece]:
    """One event of a line in each of these steps: an XEvent with its tag and length."""
    shift = _noise(steps, at, max(event.dur // 64, 1))
    start = (steps * STEP_NS + event.start) * 1000 + shift * 7 % 1000
    body: list[Piece] = [
        number(1, names.event(event.name)) + varint(2 << 3), start.astype(np.uint64),
        varint(3 << 3), ((event.dur - shift) * 1000).astype(np.uint64),
    ]  # fmt: skip
    for name, kind, value in event.stats:
        key = number(1, names.stat(name))
        if callable(value):
            tail: list[Piece] = [varint(KINDS[kind] << 3), value(steps).view(np.uint64)]
        elif kind == "double":
            tail = [varint(2 << 3 | 1) + np.float64(value).tobytes()]
        elif kind in ("str", "bytes"):
            tail = [block(KINDS[kind], str(value))]
        else:
            tail = [number(KINDS[kind], names.stat(str(value)) if kind == "ref" else int(value))]
        size = len(key) + size_of(tail, len(steps))
        body += [varint(4 << 3 | 2), size.astype(np.uint64), key, *tail]
    size = size_of(body, len(steps))
    return [varint(4 << 3 | 2), size.astype(np.uint64), *body]


def write_line(out: BinaryIO, line: Line, names: Names, steps: int, limit: int) -> int:
    """Writes a line with its tag and length; returns how many events it holds, at most `limit`."""
    out.write(varint(3 << 3 | 2))
    place = out.tell()
    out.write(padded(0))
    out.write(number(1, line.line_id) + block(2, line.name) + number(3, line.timestamp_ns))
    written = 0
    for first in range(0, steps, BATCH):
        if written >= limit:
            break
        some = np.arange(first, min(first + BATCH, steps))
        pieces = [pieces_of(event, at, names, some) for at, event in enumerate(line.events)]
        size = np.stack([size_of(p, len(some)) for p in pieces], axis=1)
        end = np.cumsum(size.reshape(-1)).reshape(size.shape)
        buffer = np.empty(int(end[-1, -1]), np.uint8)
        for at, p in enumerate(pieces):
            put(buffer, end[:, at] - size[:, at], p)
        count = min(size.size, limit - written)
        out.write(buffer[: int(end.reshape(-1)[count - 1])].tobytes())
        written += count
    _fill(out, place)
    return written


def _fill(out: BinaryIO, place: int) -> None:
    """Puts the length of what was written since into its place."""
    end = out.tell()
    out.seek(place)
    out.write(padded(end - place - PADDED))
    out.seek(end)


def planes() -> Iterator[tuple[str, list[Line]]]:
    host = [Line(-7126015055801321386, "python", python_thread())]
    host += [Line(5373688104180853956 + g, f"tf_Compute/{g}", executor_thread(g)) for g in range(GPUS)]
    host += [Line(77 + t, f"tf_data_private_threadpool/{t}", input_thread(t)) for t in range(2)]
    for gpu in range(GPUS):
        name = f"Stream #{13 + gpu}(Memset,MemcpyH2D,Compute)"
        yield f"/device:GPU:{gpu}", [Line(13 + gpu, name, stream(gpu))]
    yield "/host:CPU", host


def events_a_step() -> int:
    return sum(len(line.events) for _, lines in planes() for line in lines)


def write_profile(path: Path, events: int) -> int:
    """Writes a profile of at least so many events, whole steps; returns how many there are."""
    steps = -(-events // events_a_step())
    total = 0
    with open(path, "wb") as out:
        for number_, (name, lines) in enumerate(planes(), 1):
            out.write(varint(1 << 3 | 2))
            place = out.tell()
            out.write(padded(0))
            out.write(number(1, number_) + block(2, name))
            names = Names()
            for line in lines:
                total += write_line(out, line, names, steps, steps * len(line.events))
            out.write(names.message())
            _fill(out, place)
        out.write(block(1, _environment(steps)))
        out.write(block(4, "made"))
    return total


def _environment(steps: int) -> bytes:
    times = {"profile_start_time": BEGAN, "profile_stop_time": BEGAN + (steps + 1) * STEP_NS}
    out = block(2, "Task Environment")
    for key, (name, value) in enumerate(times.items(), 1):
        out += block(5, number(1, key) + block(2, number(1, key) + block(2, name)))
        out += block(6, number(1, key) + number(3, value))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("events", type=int)
    options = parser.parse_args()
    print(f"{options.file}: {write_profile(options.file, options.events):,} events")


if __name__ == "__main__":
    main()
