"""What the native stack of an ITT record says: primitive or worker share, which kernel, how far it reaches.

A record whose stack holds the library's own execute function is the *library* call; one without it is the share that a
worker thread took of somebody's primitive, the *device* layer of a CPU.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from tftrace.agent import contract
from tftrace.correlate.tables.columns import NONE, Int
from tftrace.ingest.agent_raw import RawProcess, Records
from tftrace.ingest.symbols import Symbol, Symbolizer, short_name

_EXECUTE = ("dnnl_primitive_execute", "primitive_execute", "dnnl::primitive::execute")
_STREAM_EXECUTOR = "stream_executor::"
_TUNER = re.compile(r"Autotune(?!d)|AlgorithmPicker|PickBestAlgorithm")
"""AutotuneConvImpl, AutotuneUnfusedConv, GemmFusionAutotuner ..; LaunchAutotunedConv only uses what they found."""
_COMPUTE = re.compile(r"(?:^|::)(\w+)::Compute(?:Async)?$")
_NOT_KERNELS = re.compile(r"Device$|^KernelAndDevice|^BaseGPU")
_INNERMOST = 4  # frames in which the library that reports to ITT has to show itself
_OUTERMOST = (
    "clone",
    "clone3",
    "__clone",
    "_start",
    "start_thread",
    "__libc_start_call_main",
    "__libc_start_main",
)
_THREAD_LIBRARIES = (
    "libc.so",
    "libc-",
    "libpthread",
)  # their outermost functions have no symbol in stripped builds
_PYTHON = re.compile(
    r"^(?:_?Py[A-Z_]|cfunction_|_PyEval|pybind11::|method_vectorcall|vectorcall_|object_vacall)"
)


@dataclass(frozen=True)
class NativeStack:
    frames: tuple[Symbol, ...]  # innermost first
    names: tuple[str, ...]
    kernel: str | None  # class of the OpKernel whose Compute is on the stack
    is_library: bool
    in_executor: bool
    complete: bool  # reaches the outermost function of the thread
    boundary: int  # first frame of the Python interpreter, or len(frames)
    stream_executor: str | None = None  # innermost function of StreamExecutor below the kernel
    tuning: bool = False  # an autotuner stands between the kernel and the call
    nameless: bool = (
        False  # the functions that made the call have no symbols: a stripped binary, or one that is gone
    )

    def rows(self) -> list[dict[str, object]]:
        """Frames of `stacks.parquet`: the C++ functions, down to where the interpreter begins."""
        return [
            {"kind": "native", "function": name, "file": None, "line": None, "module": symbol.module}
            for name, symbol in zip(self.names[: self.boundary], self.frames, strict=False)
        ]


class NativeStacks:
    """The stacks of one process, symbolised together."""

    def __init__(self, raw: RawProcess) -> None:
        keys = list(raw.native_stacks)
        self.known: dict[int, NativeStack] = {}
        if not keys:
            return
        symbolizer = Symbolizer(raw.maps)
        addresses = np.unique(np.concatenate([raw.native_stacks[k] for k in keys]))
        by_address = dict(zip(addresses.tolist(), symbolizer.resolve(addresses), strict=True))
        for key in keys:
            self.known[key] = _read([by_address[int(a)] for a in raw.native_stacks[key]])


def _read(frames: list[Symbol]) -> NativeStack:
    # innermost: oneDNN's call of tftrace's library; further out, a call of the program's that went through it
    frames = [f for f in frames if not _file(f).startswith("tftrace-")]
    while frames and "::itt::" in (frames[0].function or ""):
        frames = frames[1:]
    names = [short_name(f.function) if f.function else "(no symbol)" for f in frames]
    kernel = None
    for name in names:
        match = _COMPUTE.search(name)
        if match and not _NOT_KERNELS.search(match.group(1)):
            kernel = match.group(1)
            break
    boundary = next(
        (i for i, n in enumerate(names) if _PYTHON.match(n.split("::", 1)[0]) or _PYTHON.match(n)), len(names)
    )
    return NativeStack(
        frames=tuple(frames),
        names=tuple(names),
        kernel=kernel,
        is_library=any(n in _EXECUTE or n.endswith("::primitive_execute") for n in names),
        in_executor=any(
            ("Executor" in n and "Process" in n) or "SingleThreadedExecutorImpl::Run" in n for n in names
        ),
        complete=bool(names) and (names[-1] in _OUTERMOST or _file(frames[-1]).startswith(_THREAD_LIBRARIES)),
        boundary=boundary,
        stream_executor=next((n for n in names[:boundary] if n.startswith(_STREAM_EXECUTOR)), None),
        tuning=any(_TUNER.search(n) for n in names[:boundary]),
        nameless=bool(frames) and not any(f.function for f in frames[:_INNERMOST]),
    )


def _file(symbol: Symbol) -> str:
    return (symbol.module or "").rsplit("/", 1)[-1]


class Trust:
    """What the records of a process, of tasks or of calls into cuDNN, say of themselves as a whole."""

    def __init__(self, raw: RawProcess, records: Records) -> None:
        flags, fast, timed = 0, 0, True
        for _, every in raw.pieces(records):
            some = every[every["t0"] > 0]
            flags |= int(np.bitwise_or.reduce(some["flags"], initial=0))
            fast += int(((some["flags"] & contract.ITT_FAST_UNWIND) > 0).sum())
            timed &= bool((some["own_ns"][some["t1"] > 0] > 0).all())
        # a handful of walks too few for a sample is as good as its steps: each landed on a learned return address
        checked = flags & contract.ITT_CHECKED > 0 or fast < 8
        self._fast = checked and not flags & contract.ITT_MISMATCH
        self._timed = timed

    def verified(self, records: Records) -> np.ndarray:
        """Which records' stacks may be called measured: unwound in full, or walked by learned frame sizes in a process
        where no sampled comparison with a full unwind failed."""
        flags = records["flags"]
        full = (flags & (contract.ITT_FULL_UNWIND | contract.ITT_CHECKED)) > 0
        fast = (flags & contract.ITT_FAST_UNWIND) > 0
        return np.asarray(full | (fast & self._fast))

    def own_ns(self, records: Records) -> Int:
        """What tftrace spent before and after each task; NONE where an older tftrace timed one record in many."""
        return records["own_ns"].astype(np.int64) if self._timed else np.full(len(records), NONE, np.int64)
