"""Large files in the formats of others, written piece by piece: recorded lines repeated, with times, sizes and ids that
differ from one to the next; and what a run itself leaves."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import readers
import tf_log_reader

from tftrace.agent import contract

PIECE = 20_000
"""Entries that are written at once."""
CUDNN_RECORD = 330
"""Bytes of a made record of cuDNN's log, about."""
TF_ENTRY = 159
"""Bytes of a made message of TensorFlow's log, about."""

_HEADER = """\
onednn_verbose,v1,info,oneDNN v3.7.3 (commit N/A)
onednn_verbose,v1,info,cpu,runtime:threadpool,nthr:2
onednn_verbose,v1,info,cpu,isa:Intel AVX-512 with Intel DL Boost and bfloat16 support
"""
_MEMORY = "src:f32::blocked:acdb::f0 wei:f32:a:blocked:Acdb16a::f0 bia:f32:a:blocked:a::f0 dst:f32::blocked:acdb::f0"
_CONVOLUTION = (
    "convolution,brg_conv_fwd:avx512_core,forward_training,{memory},attr-scratchpad:user attr-post-ops:eltwise_relu,"
    "alg:convolution_direct,mb16_ic{channels}oc{channels}_ih32oh32kh3sh1dh0ph1_iw32ow32kw3sw1dw0pw1"
)
_REORDER = "reorder,jit:uni,undef,src:f32::blocked:cdba::f0 dst:f32::blocked:Acdb16a::f0,,,{channels}x16x3x3"


def onednn_log(path: Path, lines: int) -> None:
    """Verbose lines as oneDNN 3.7 writes them with timestamps: 200 primitives, over and over."""
    stems = [stem.decode() for stem in _stems()]
    with path.open("w") as file:
        file.write(_HEADER)
        for first in range(0, lines, PIECE):
            file.writelines(
                f"onednn_verbose,v1,{1795442300000 + n // 7}.{n * 37 % 1_000_000:06d},primitive,exec,cpu,"
                f"{stems[n % 200]},{0.002 + n * 7919 % 10_007 / 3000:.6g}\n"
                for n in range(first, min(first + PIECE, lines))
            )


def _stems() -> list[bytes]:
    return [
        (_CONVOLUTION if n % 2 else _REORDER).format(memory=_MEMORY, channels=8 * (n // 2 + 1)).encode()
        for n in range(200)
    ]


def cudnn_log(path: Path, records: int) -> None:
    _repeated(path, readers.made_log, records * CUDNN_RECORD / 1e6)


def tf_log(path: Path, messages: int) -> None:
    """A line for each launch and each copy, and one of an autotuner among some hundreds."""
    told = b"".join(_tuning_line(n) for n in range(123))
    _repeated(path, lambda mb: tf_log_reader.made_log(mb) + told, messages * TF_ENTRY / 1e6)


def _tuning_line(n: int) -> bytes:
    return (
        f"I0000 00:00:1795444429.{n:06d}   27639 cuda_dnn.cc:5202] cudnn op with plan ConvFwd_eng{n % 40}_k2={n % 7}, "
        f"workspace_size={n * 512} -> ok in 0.{n + 100}ms\n"
    ).encode()


def _repeated(path: Path, made: object, megabytes: float) -> None:
    at_once = min(megabytes, 8.0)
    piece = made(at_once)  # type: ignore[operator]
    with path.open("wb") as file:
        for _ in range(max(round(megabytes / at_once), 1)):
            file.write(piece)


def verbose(path: Path, lines: int) -> None:
    """Lines as the native library writes them where it writes all of them whole: 200 primitives, over and over."""
    stems = _stems()
    with path.open("wb") as file:
        for first in range(0, lines, PIECE):
            file.writelines(
                _in_blocks(
                    b"%d %d %d onednn_verbose,v1,primitive,exec,cpu,%s,%.6g\n"
                    % (
                        27639 + n % 2,
                        10**13 + n * 7001,
                        n + 1,
                        stems[n % 200],
                        0.002 + n * 7919 % 10_007 / 3000,
                    )
                )
                for n in range(first, min(first + PIECE, lines))
            )


def messages(path: Path, count: int) -> None:
    """Messages as the native library writes them: launches of 50 kernels and copies, and what an autotuner says."""
    told = [_tuning_line(n) for n in range(123)]
    with path.open("wb") as file:
        for first in range(0, count, PIECE):
            for n in range(first, min(first + PIECE, count)):
                text = told[n // 1000 % 123] if n % 1000 == 0 else _launch_line(n)
                file.write(
                    _in_blocks(
                        b"%d %d %d 4 %d %s" % (27639 + n % 2, 10**13 + n * 7001, n // 9, len(text), text)
                    )
                )


def _launch_line(n: int) -> bytes:
    head = b"I0000 00:00:%d.%06d %7d cuda_stream.cc:" % (
        1795444429 + n // 100_000,
        n % 1_000_000,
        27639 + n % 2,
    )
    if n % 3:
        return head + (
            b"601] launching kernel: volta_scudnn_128x%d_relu; gdx: %d gdy: 2 gdz: 1 bdx: 256 bdy: 1 bdz: 1; "
            b"shared_mem_bytes: 0\n" % (n % 50, n % 50 + 1)
        )
    return (
        head
        + b"312] successfully enqueued async memcpy d2h of 4 bytes from 0x7f42 to 0x7ffe on stream 0x55ef\n"
    )


def executor(path: Path, lines: int) -> None:
    """What executors log, as the native library writes it: steps of 100 nodes, of each its begin, output and end."""
    with path.open("wb") as file:
        for n in range(lines // 3):
            step, node = divmod(n, 100)
            run = (
                f"{node} step {step} {{{{node model/layer_{node}/Conv2D}}}} = _MklNativeConv2D[T=DT_FLOAT, "
                'data_format="NHWC", dilations=[1, 1, 1, 1], explicit_paddings=[], padding="SAME"]'
                f"(model/layer_{node - 1}/Conv2D, w_{node}) device: /job:localhost/replica:0/task:0/device:CPU:0"
            )
            made = (
                f'MemoryLogTensorOutput {{ step_id: {step} kernel_name: "model/layer_{node}/Conv2D" '
                f"tensor {{ dtype: DT_FLOAT shape {{ dim {{ size: {8 + step % 3} }} dim {{ size: 64 }} }} }} }}"
            )
            told = (f"Process node: {run}", f"__LOG_MEMORY__ {made}", f"Synchronous kernel done: {run}")
            for more, text in enumerate(told):
                at = 10**13 + n * 9000 + more * 1000
                file.write(_in_blocks(b"%d %d executor.cc:1] %s\n" % (27639 + n % 2, at, text.encode())))


def _in_blocks(line: bytes) -> bytes:
    return line + bytes(-len(line) % contract.VERBOSE_BLOCK)


RECORDS = {"dispatch.bin": contract.DISPATCH, "itt.bin": contract.ITT, "onednn.bin": contract.ONEDNN}


def records(path: Path, count: int) -> None:
    """What a process leaves of a third of `count` calls, each with a primitive in it."""
    path.mkdir()
    (path / "process.json").write_text(json.dumps({"format": contract.FORMAT, "pid": 27639}))
    for name, record in RECORDS.items():
        made = np.zeros(count // len(RECORDS), np.dtype(record.dtype))
        made[record.fields[0].name] = 10**13 + np.arange(len(made)) * 7001
        made.tofile(path / name)


def chrome_trace(path: Path, events: int) -> None:
    """As TensorFlow writes them: kernels of a stream, their launches with the same id, and ops on a thread."""
    with path.open("wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=1) as file:
        file.write(
            b'{"displayTimeUnit":"ns","metadata":{"highres-ticks":true},"traceEvents":['
            b'{"ph":"M","pid":1,"name":"process_name","args":{"name":"/device:GPU:0"}},'
            b'{"ph":"M","pid":1,"tid":13,"name":"thread_name","args":{"name":"Stream #13(Compute,MemcpyD2D)"}},'
            b'{"ph":"M","pid":701,"name":"process_name","args":{"name":"/host:CPU"}},'
            b'{"ph":"M","pid":701,"tid":5,"name":"thread_name","args":{"name":"tf_Compute/5"}},\n'
        )
        for first in range(0, events, PIECE):
            text = "".join(_chrome_event(n) for n in range(first, min(first + PIECE, events)))
            file.write(text.encode())
        file.write(b"{}]}\n")


def _chrome_event(n: int) -> str:
    at, group = n // 3 * 11.37 + 6125.89, n // 3000
    if n % 3 == 0:
        return (
            f'{{"ph":"X","pid":701,"tid":5,"ts":{at:.17g},"dur":10.1,"name":"model/block_{n // 3 % 97}/Conv2D:Conv2D",'
            f'"args":{{"group_id":"{group}","long_name":"model/block_{n // 3 % 97}/Conv2D:Conv2D"}}}},\n'
        )
    if n % 3 == 1:
        return (
            f'{{"ph":"X","pid":701,"tid":5,"ts":{at + 1:.17g},"dur":4.0960000000000001,"name":"cuLaunchKernel",'
            f'"args":{{"correlation_id":"{n}","group_id":"{group}"}}}},\n'
        )
    return (
        f'{{"ph":"X","pid":1,"tid":13,"ts":{at + 3:.17g},"dur":7.25,"name":"volta_scudnn_128x{n // 3 % 7 * 32}_relu",'
        f'"args":{{"correlation_id":"{n - 1}","group_id":"{group}","kernel_details":"regs:120 static_shared:0 '
        f'dynamic_shared:0 grid:{n % 64 + 1}x1x1 block:256x1x1 occ_pct:25"}}}},\n'
    )


def nsys_export(path: Path, events: int) -> None:
    """Kernels, each with a `gridId` of its own, and the CUDA calls that launched them, half of each."""
    pid, thread = 4321 << 24, 4321 << 24 | 4321
    with sqlite3.connect(path) as base:
        base.execute("CREATE TABLE StringIds (id INTEGER PRIMARY KEY, value TEXT)")
        base.executemany(
            "INSERT INTO StringIds VALUES (?, ?)",
            [(0, "cudaLaunchKernel_v7000"), *((n, f"volta_scudnn_128x{n}_relu") for n in range(1, 100))],
        )
        base.execute(
            "CREATE TABLE TARGET_INFO_SESSION_START_TIME (utcEpochNs INTEGER, systemClockNs INTEGER)"
        )
        base.execute("INSERT INTO TARGET_INFO_SESSION_START_TIME VALUES (1795442300000000000, 1000)")
        base.execute(
            "CREATE TABLE CUPTI_ACTIVITY_KIND_RUNTIME (start, end, eventClass, globalTid, correlationId, nameId, "
            "returnValue, callchainId)"
        )
        base.execute(
            "CREATE TABLE CUPTI_ACTIVITY_KIND_KERNEL (start, end, deviceId, contextId, streamId, correlationId, "
            "globalPid, demangledName, shortName, gridX, gridY, gridZ, blockX, blockY, blockZ, registersPerThread, "
            "gridId)"
        )
        for first in range(0, events // 2, PIECE):
            some = range(first, min(first + PIECE, events // 2))
            base.executemany(
                "INSERT INTO CUPTI_ACTIVITY_KIND_RUNTIME VALUES (?, ?, 0, ?, ?, 0, 0, NULL)",
                ((n * 9000, n * 9000 + 4100, thread, n) for n in some),
            )
            base.executemany(
                "INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL VALUES (?, ?, 0, 1, 7, ?, ?, ?, ?, ?, 1, 1, 256, 1, 1, 120, ?)",
                (
                    (n * 9000 + 6000, n * 9000 + 8000, n, pid, n % 99 + 1, n % 99 + 1, n % 64 + 1, n + 1)
                    for n in some
                ),
            )


def pieces(path: Path, most: int = 1 << 20) -> Iterator[bytes]:
    """The bytes of a file, unpacked, or of the files of a directory."""
    if path.is_dir():
        for file_ in path.glob("*.bin"):
            yield from pieces(file_, most)
        return
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        while piece := file.read(most):
            yield piece
