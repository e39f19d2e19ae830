"""Python stacks, each described once, and the exported names of the functions on them."""

import sys
from types import CodeType, FrameType, TracebackType
from typing import Any, Callable, Dict, List, Optional, Tuple

from .files import Lines

MAX_FRAMES = 400
_MASK = (1 << 64) - 1
_OWN = __name__.rsplit(".", 1)[0]  # this package, under whatever name it was loaded


def is_own(frame: FrameType) -> bool:
    name = frame.f_globals.get("__name__", "")
    return isinstance(name, str) and (name == _OWN or name.startswith(_OWN + "."))


class PythonStacks:
    def __init__(self, directory: str) -> None:
        self.started_on: Callable[[], Optional[int]] = lambda: 0
        """Answers with the key of the stack that started this thread, where one is known: see `threads`."""
        self.reopen(directory)

    def reopen(self, directory: str) -> None:
        self._stacks = Lines(directory, "stacks.jsonl")
        self._exports = Lines(directory, "exports.jsonl")
        self._keys: Dict[Tuple[int, ...], int] = {}
        # described already, with the class of the object that the function ran on; kept alive: ids are in the keys
        self._codes: Dict[Tuple[int, int], Tuple[CodeType, Optional[type]]] = {}

    def intern(self, frame: Optional[FrameType]) -> int:
        """The key of the stack that begins at `frame`; describes it where it is new.

        Keyed on ids: code objects hash by content, which costs microseconds.
        """
        while frame is not None and is_own(frame):
            frame = frame.f_back
        parts: List[int] = [self.started_on() or 0]
        at = frame
        while at is not None:
            parts.append(id(at.f_code))
            parts.append(at.f_lasti)
            at = at.f_back
        ids = tuple(parts)
        key = self._keys.get(ids)
        if key is None:
            key = (hash(ids) & _MASK) or 1
            self._keys[ids] = key
            self.describe(key, frame)
        return key

    def describe(self, key: int, frame: Optional[FrameType]) -> None:
        while frame is not None and is_own(frame):
            frame = frame.f_back
        rows: List[List[Any]] = []
        while frame is not None and len(rows) < MAX_FRAMES:
            rows.append(self._described(frame, frame.f_lineno))
            frame = frame.f_back
        row = {"key": key, "frames": rows}
        started_on = self.started_on()
        if started_on:
            row["started"] = started_on
        self._stacks.add(row)

    def describe_traceback(self, traceback: Optional[TracebackType]) -> Optional[int]:
        """The key of the stack on which an exception was raised; None without a traceback."""
        rows: List[List[Any]] = []
        while traceback is not None:
            rows.append(self._described(traceback.tb_frame, traceback.tb_lineno))
            traceback = traceback.tb_next
        if not rows:
            return None
        key = (hash(str(rows)) & _MASK) or 1
        self._stacks.add({"key": key, "frames": rows[: -MAX_FRAMES - 1 : -1]})
        return key

    def _described(self, frame: FrameType, line: int) -> List[Any]:
        code = frame.f_code
        module = frame.f_globals.get("__name__")
        name, own = qualified_name(frame), _own_class(frame)
        path = [] if own is None else ["%s.%s" % (own.__module__, own.__qualname__)]
        if (id(code), id(own)) not in self._codes:
            self._codes[id(code), id(own)] = code, own
            names = exported_names(frame)
            if names:
                where = [code.co_filename, code.co_firstlineno, name, *path]
                self._exports.add({"code": where, "names": names})
        return [code.co_filename, line, name, str(module or ""), *path]

    def close(self) -> None:
        self._stacks.close()
        self._exports.close()


def qualified_name(frame: FrameType) -> str:
    code = frame.f_code
    name = getattr(code, "co_qualname", None)  # Python 3.11
    if name is None:
        name = code.co_name
        if code.co_argcount and code.co_varnames[0] == "self":
            for cls in type(frame.f_locals.get("self")).__mro__:
                if code_of(cls.__dict__.get(name)) is code:
                    return "%s.%s" % (cls.__qualname__, name)
    return str(name)


def _own_class(frame: FrameType) -> Optional[type]:
    """Class of the object that a method runs on, where the method is another class's: that object inherited it."""
    code = frame.f_code
    if not code.co_argcount or code.co_varnames[0] != "self":
        return None
    cls = type(frame.f_locals.get("self"))
    if cls.__dict__.get(code.co_name) is not None or code.co_name.startswith("<"):
        return None
    return cls if any(code.co_name in c.__dict__ for c in cls.__mro__) else None


def code_of(value: Any) -> Optional[CodeType]:
    """Code of a function below its decorators: functools' `__wrapped__` and TensorFlow's own."""
    for _ in range(16):
        if isinstance(value, (staticmethod, classmethod)):
            value = value.__func__
        inner = getattr(value, "__dict__", {}).get("__wrapped__") if callable(value) else None
        if inner is None:
            break
        value = inner
    code = getattr(value, "__code__", None)
    return code if isinstance(code, CodeType) else None


def exported_names(frame: FrameType) -> List[str]:
    """Public names of the function that runs in `frame`, TensorFlow's own first; empty where it has none.

    A method goes by the class of its object, or the nearest one above it that is public.
    """
    code = frame.f_code
    names: List[str] = []
    module = str(frame.f_globals.get("__name__") or "")
    root = module.split(".", 1)[0]
    parts = qualified_name(frame).split(".")
    value = frame.f_globals.get(parts[0])
    own = _own_class(frame)
    if len(parts) == 1:
        names += _declared_by(value, code)
    elif isinstance(value, type) and len(parts) == 2:
        for cls in _up_to(own, value):
            names += ["%s.%s" % (name, parts[1]) for name in _class_names(cls, cls is value)]
    if root not in ("tensorflow", "") and "<locals>" not in parts:
        names += _public_paths(root, code, value if isinstance(value, type) else None, own, parts)
    return list(dict.fromkeys(names))


def _up_to(own: Optional[type], value: type) -> List[type]:
    """The classes from that of the object to the one that defines the method."""
    if own is None or value not in own.__mro__:
        return [value]
    return list(own.__mro__[: own.__mro__.index(value) + 1])


_LEGACY = ("keras.__internal__.legacy.", "tf_keras.__internal__.legacy.")
"""TensorFlow shows what Keras keeps there as its own: `tf.compat.v1.layers`, `tf.compat.v1.nn.rnn_cell`."""


def _declared(own: Any) -> List[str]:
    """Names that TensorFlow, Keras 2 and tf.estimator note on what they export."""
    names = ["tf." + n for n in own.get("_tf_api_names", ())]
    names += ["tf.compat.v1." + n for n in own.get("_tf_api_names_v1", ()) if "tf." + n not in names]
    names += ["tf." + n for n in own.get("_estimator_api_names", ())]
    names += ["tf.compat.v1." + n for n in own.get("_estimator_api_names_v1", ()) if "tf." + n not in names]
    names += ["tf." + n for n in own.get("_keras_api_names", ()) if "__internal__" not in n]
    for name in own.get("_keras_api_names_v1", ()):
        legacy = next((name[len(p) :] for p in _LEGACY if name.startswith(p)), None)
        if legacy is not None:
            names.append("tf.compat.v1." + ("nn." if legacy.startswith("rnn_cell") else "") + legacy)
        elif "__internal__" not in name and "tf." + name not in names:
            names.append("tf.compat.v1." + name)
    return names


def _declared_by(value: Any, code: CodeType) -> List[str]:
    for _ in range(16):
        own = getattr(value, "__dict__", {})
        names = _declared(own)
        if names and code_of(value) is code:
            return names
        if "__wrapped__" not in own:
            break
        value = own["__wrapped__"]
    return []


def _class_names(cls: type, heirs: bool) -> List[str]:
    # an exported class may inherit from a private one of its own package: Session, BaseSession
    for c in [cls, *(type.__subclasses__(cls) if heirs else ())]:
        names = _declared(c.__dict__) if _root(c) == _root(cls) else []
        if names:
            return names
    return []


def _root(cls: type) -> str:
    return str(cls.__module__).split(".", 1)[0]


def _public_paths(
    root: str, code: CodeType, cls: Optional[type], own: Optional[type], parts: List[str]
) -> List[str]:
    """Where a package other than TensorFlow exports this function or class: by looking through its public modules."""
    exports = _Exports.of(root)
    if cls is None:
        found = [path for path, known in exports.functions.get(id(code), ()) if known is code]
        return sorted(found, key=_length)[:8]
    names: List[str] = []
    for c in _up_to(own, cls):
        found = [path for path, value in exports.classes.get(c, ()) if value is c]
        names += sorted(found, key=lambda n: (n.rpartition(".")[2] != c.__name__, *_length(n)))
    heirs = [
        path
        for path, value in exports.classes.get(cls, ())
        if value is not cls and parts[-1] not in value.__dict__
    ]
    names += sorted(heirs, key=_length)
    return ["%s.%s" % (name, parts[-1]) for name in dict.fromkeys(names)][:8]


def _length(name: str) -> Tuple[int, int, str]:
    """The shortest path first."""
    return name.count("."), len(name), name


class _Exports:
    """What the public modules of a package hold: looked through once, and again when modules have come or gone.

    A look takes milliseconds, and a stack of a model's call asks for dozens of functions.
    """

    @staticmethod
    def of(root: str) -> "_Exports":
        known = _exports.get(root)
        if known is None or known.size != len(sys.modules):
            known = _exports[root] = _Exports(root)
        return known

    def __init__(self, root: str) -> None:
        self.size = len(sys.modules)
        self.functions: Dict[int, List[Tuple[str, CodeType]]] = {}  # by id of the code: codes hash by content
        self.classes: Dict[
            type, List[Tuple[str, type]]
        ] = {}  # of a class: itself and the exported ones below it
        for name, module in list(sys.modules.items()):
            if name != root and not name.startswith(root + "."):
                continue
            if any(s.startswith("_") or s in ("src", "python") for s in name.split(".")):
                continue
            for attribute, value in list(getattr(module, "__dict__", {}).items()):
                if attribute.startswith("_"):
                    continue
                path = "%s.%s" % (name, attribute)
                if isinstance(value, type):
                    if value.__module__.split(".", 1)[0] == root:
                        for base in value.__mro__:
                            self.classes.setdefault(base, []).append((path, value))
                elif callable(value):
                    code = code_of(value)
                    if code is not None:
                        self.functions.setdefault(id(code), []).append((path, code))


_exports: Dict[str, _Exports] = {}
