"""What a Python stack says of an op: the user's line, the public function, the generated wrapper, the callers.

The *python* line is the innermost frame outside site-packages and the standard library. The *api* is the first public
function below it, by its exported name. User frames further out are the *callers*.
"""

from __future__ import annotations

import linecache
import os
import re
from dataclasses import dataclass

from tftrace.ingest.agent_raw import RawProcess

_GEN_MODULE = re.compile(r"(?:^|\.)(gen_\w+|\w+_gen)$")
_TF_FUNCTION = "tensorflow.python.eager.polymorphic_function."
_WRAPPERS = (  # decorators and the like: never what the user called
    "tensorflow.python.util.",
    "tensorflow.python.eager.polymorphic_function.",
    "tensorflow.python.framework.func_graph",
    "tensorflow.python.autograph.",
    "keras.src.utils.traceback_utils",
    "tf_keras.src.utils.traceback_utils",
    "keras.src.utils.python_utils",
    "tf_slim.ops.arg_scope",
    "functools",
    "contextlib",
    "importlib",
    "threading",
    "concurrent.futures",
    "multiprocessing",
)


@dataclass(frozen=True)
class Frame:
    file: str
    line: int
    function: str
    module: str
    own: str | None = None  # class of the object a method ran on, where it inherited that


@dataclass(frozen=True)
class Caller:
    file: str
    line: int
    code: str | None


@dataclass(frozen=True)
class Origin:
    """What one stack says. Fields are None where the stack holds no such frame."""

    python: Caller | None
    api: str | None
    api_where: str | None
    gen_op: str | None
    gen_file: str | None
    gen_line: int | None
    callers: tuple[Caller, ...]
    frames: tuple[Frame, ...]


class Origins:
    """Reads the stacks of one process; each key is worked out once."""

    def __init__(self, raw: RawProcess, source: bool = True) -> None:
        self._stacks = raw.stacks
        self._maps = raw.sourcemaps
        self._source = source
        self._libraries = tuple(os.path.join(p, "") for p in raw.process.get("libraries", []))
        self._exports: dict[tuple[str, str, str | None], list[tuple[int, list[str]]]] = {}
        for row in raw.exports:
            file, first, name, *own = row["code"]
            key = (str(file), str(name), str(own[0]) if own else None)
            self._exports.setdefault(key, []).append((int(first), list(row["names"])))
        self._known: dict[int, Origin] = {}
        self._first: dict[int, int] = {}

    def canonical(self, key: int) -> int:
        """The first key with the same frames: a bytecode offset that moves within a line makes a new key only."""
        if not self._first:
            seen: dict[str, int] = {}
            for k, rows in self._stacks.items():
                self._first[k] = seen.setdefault(repr(rows), k)
        return self._first.get(key, key)

    def of(self, key: int) -> Origin:
        origin = self._known.get(key)
        if origin is None:
            origin = self._known[key] = self._read(self._stacks.get(key, []))
        return origin

    def _is_user(self, frame: Frame) -> bool:
        file = frame.file
        if file.startswith("<frozen ") or file in ("<string>", "<attrs>") or not file:
            return False
        if frame.module.split(".", 1)[0] in ("tensorflow", "keras", "tf_keras", "_tftrace_agent"):
            return False
        if frame.module.startswith(("tftrace.agent", "tftrace.api")):
            return False
        if file.startswith("<"):  # <stdin>, <ipython-input-..>
            return True
        return not file.startswith(self._libraries)

    def _mapped(self, frame: Frame) -> Frame:
        """A frame of AutoGraph's generated code stands for the user's own line."""
        lines = self._maps.get(frame.file)
        if not lines:
            return frame
        at = lines.get(frame.line) or lines.get(
            max((n for n in lines if n <= frame.line), default=min(lines))
        )
        return Frame(at[0], at[1], at[2] or frame.function, "__main__") if at else frame

    def _caller(self, frame: Frame) -> Caller:
        code = linecache.getline(frame.file, frame.line).strip() if self._source else ""
        return Caller(frame.file, frame.line, code[:300] or None)

    def names(self, frame: Frame) -> list[str]:
        candidates = self._exports.get((frame.file, frame.function, frame.own), [])
        fitting = [names for first, names in candidates if first <= frame.line]
        return fitting[-1] if fitting else []

    def _read(self, rows: list[list[object]]) -> Origin:
        original = [_frame(r) for r in rows]
        frames = [
            self._mapped(f) for f in original
        ]  # AutoGraph also rewrites functions of Keras, which stay Keras's
        users = [i for i, f in enumerate(frames) if self._is_user(f)]
        gen = self._gen_op(frames, users[0] if users else len(frames))
        python = self._caller(frames[users[0]]) if users else None
        callers: list[Caller] = []
        for i in users[1:]:
            caller = self._caller(frames[i])
            if caller != python and caller not in callers[-1:]:
                callers.append(caller)
        api, where = self._api(frames[: users[0]] if users else frames, python, gen)
        return Origin(
            python=python,
            api=api,
            api_where=where,
            gen_op=gen[0] if gen else None,
            gen_file=gen[1] if gen else None,
            gen_line=gen[2] if gen else None,
            callers=tuple(callers),
            frames=tuple(frames),
        )

    @staticmethod
    def _gen_op(frames: list[Frame], stop: int) -> tuple[str, str, int] | None:
        for frame in frames[:stop]:
            module = frame.module.rsplit(".", 1)[-1]
            if _GEN_MODULE.search(module) or os.path.basename(frame.file).startswith("gen_"):
                function = frame.function.removesuffix("_eager_fallback")
                return f"{module}.{function}", frame.file, frame.line
        return None

    def _api(
        self, inner: list[Frame], python: Caller | None, gen: tuple[str, str, int] | None
    ) -> tuple[str | None, str | None]:
        """`inner` are the frames below the user's, innermost first; without a user frame, all of them."""
        code = (python.code or "") if python else ""
        raw_op = any(f.module.startswith("tensorflow.python.util.tf_export") for f in inner)
        fallback: Frame | None = None
        for frame in reversed(inner):
            if frame.module.startswith(_TF_FUNCTION) and frame.function == "Function.__call__":
                return "tf.function", f"{frame.file}:{frame.line}"
            if frame.module.startswith(_WRAPPERS):
                continue
            names = [n for n in map(_public, self.names(frame)) if n is not None]
            if names:
                return _as_written(names, code), f"{frame.file}:{frame.line}"
            if fallback is None and not frame.file.startswith("<"):
                fallback = frame
        if raw_op and gen and fallback and gen[1] == fallback.file:
            op = "".join(part.capitalize() for part in gen[0].rsplit(".", 1)[-1].split("_"))
            written = re.search(r"raw_ops\.(\w+)", code)
            return f"tf.raw_ops.{written.group(1) if written else op}", f"{gen[1]}:{gen[2]}"
        if fallback is not None:
            return f"{fallback.module}.{fallback.function}", f"{fallback.file}:{fallback.line}"
        return None, None


def _frame(row: list[object]) -> Frame:
    own = str(row[4]) if len(row) > 4 else None
    return Frame(str(row[0]), int(str(row[1])), str(row[2]), str(row[3]), own)


def _public(name: str) -> str | None:
    """A constructor stands for its class; any other private method is not what a user called."""
    owner, _, last = name.rpartition(".")
    if last in ("__init__", "__new__", "_variable_call", "_variable_v1_call", "_variable_v2_call"):
        return owner
    return None if last.startswith("_") and not last.startswith("__") else name


def _as_written(names: list[str], code: str) -> str:
    """Of several exported names the one the line was written with; else the first, TensorFlow's canonical one."""
    written = [n for n in names if n in code]
    if written:
        return max(written, key=len)
    for parts in (2, 1):
        tails = [
            n
            for n in names
            if re.search(r"(?<!\w)" + re.escape(".".join(n.split(".")[-parts:])) + r"\s*\(", code)
        ]
        if tails:
            return tails[0]
    return names[0]
