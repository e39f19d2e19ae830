"""The dispatch hook in Python: the same records, for a process where the native library cannot be loaded.

Costs about 2.3 us a call instead of 0.4 us, and leaves a frame of its own in the tracebacks of ops that raise.
"""

import mmap
import os
import sys
import threading
from typing import Any, Callable, Dict, Optional, Tuple, Type

from . import contract
from .clocks import raw
from .metas import FAST, SESSION, Metas
from .pystacks import PythonStacks

_MASK = (1 << 64) - 1


class RecordFile:
    """A file of fixed records, mapped segment by segment."""

    def __init__(self, directory: str, name: str, record: contract.Record) -> None:
        self.record = record
        self.fd = os.open(os.path.join(directory, name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.next = 0
        self.lost = 0
        self._map: Optional[mmap.mmap] = None
        self._segment = -1

    def take(self) -> int:
        index = self.next
        self.next += 1
        return index

    def put(self, index: int, *values: int) -> None:
        segment, offset = divmod(index, contract.SEGMENT)
        size = self.record.size
        if segment == self._segment or self._grow(segment):
            assert self._map is not None
            self.record.struct.pack_into(self._map, offset * size, *values)
        elif segment < self._segment:  # a long call that outlived its segment
            os.pwrite(self.fd, self.record.struct.pack(*values), index * size)
        else:
            self.lost += 1

    def _grow(self, segment: int) -> bool:
        if segment < self._segment:
            return False
        size = contract.SEGMENT * self.record.size
        try:
            os.posix_fallocate(self.fd, segment * size, size)
            self._map = mmap.mmap(self.fd, size, offset=segment * size)
        except OSError:
            return False
        self._segment = segment
        return True


class PythonDispatch:
    """Wraps the entries into the runtime; `before`/`after` are the NVTX hooks, or None."""

    def __init__(
        self, directory: str, stacks: PythonStacks, metas: Metas, fallback: Type[BaseException]
    ) -> None:
        self.file = RecordFile(directory, "dispatch.bin", contract.DISPATCH)
        self.threads = RecordFile(directory, "threads.bin", contract.THREAD)
        self.stacks, self.metas, self.fallback = stacks, metas, fallback
        self.on = True
        self.steps = 0
        self.work = 0
        self.sessions = 0
        self.trigger = -1
        self.on_step: Callable[[int], None] = lambda step: None
        self.push: Optional[Callable[[str], None]] = None
        self.pop: Optional[Callable[[], None]] = None
        self._local = threading.local()
        self._metas: Dict[Any, int] = {}

    def _thread(self) -> Tuple[int, int]:
        local = self._local
        try:
            return local.tid, local.current
        except AttributeError:
            local.tid, local.current = threading.get_native_id(), 0
            self.threads.put(self.threads.take(), local.tid, threading.get_ident())
            return local.tid, 0

    def wrap(self, kind: int, original: Callable[..., Any]) -> Callable[..., Any]:
        file, getframe = self.file, sys._getframe

        def hook(*arguments: Any, **keywords: Any) -> Any:
            if not self.on:
                return original(*arguments, **keywords)
            entered = raw()
            tid, parent = self._thread()
            stack = self.stacks.intern(getframe(1))
            meta, weight, step = self._describe(kind, arguments)
            self.work += weight
            if step and not parent:
                self.steps += 1
                if 0 <= self.trigger <= self.steps:
                    self.on_step(self.steps)
            index = file.take()
            self._local.current = index + 1
            if self.push is not None:
                self.push("Session.run" if kind == SESSION else str(arguments[1 if kind == FAST else 2]))
            status, steps = 2, self.steps
            started = raw()
            own = min(started - entered, 0xFFFFFFFF)
            file.put(index, started, 0, stack, meta, parent, tid, own, kind, 0, 0, steps)
            try:
                result = original(*arguments, **keywords)
                status = 1
                return result
            except self.fallback:
                status = 3 if kind == FAST else 2
                raise
            finally:
                ended = raw()
                self._local.current = parent
                if self.pop is not None:
                    self.pop()
                file.put(index, started, ended, stack, meta, parent, tid, own, kind, status, 0, steps)

        return hook

    def _describe(self, kind: int, arguments: Tuple[Any, ...]) -> Tuple[int, int, bool]:
        """(key of the description, bytes it costs the profiler, whether it runs a graph)"""
        if kind == SESSION:
            key: Any = (
                kind,
                id(arguments[0]),
                self.sessions,
                *map(len, (a for a in arguments[3:5] if isinstance(a, list))),
            )
            inputs, weight = -1, 20000
        else:
            name = arguments[1 if kind == FAST else 2]
            inputs, weight = self.metas.op(name)
            if kind == FAST:
                count = 3 + max(inputs, 0)
                key = (kind, name, *map(_shape, arguments[3:count]), *map(_value, arguments[count:]))
            else:
                attributes = arguments[4] if len(arguments) > 4 and inputs >= 0 else ()
                key = (kind, name, arguments[1], *map(_shape, arguments[3]), *map(_value, attributes or ()))
        number = self._metas.get(key)
        if number is None:
            number = self._metas[key] = (hash(key) & _MASK) or 1
            self.on_meta(number, kind, *arguments)
        return number, weight, inputs < 0

    def on_meta(self, key: int, kind: int, *arguments: Any) -> None:
        self.metas.add(key, kind, arguments)


def _shape(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple(map(_shape, value))
    try:
        shape = value.shape
        return (str(value.dtype), shape if isinstance(shape, tuple) else tuple(shape.as_list()))
    except Exception:
        return type(value)


def _value(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple(map(_value, value))
    return value if isinstance(value, (str, bytes, int, float, type(None))) else str(value)
