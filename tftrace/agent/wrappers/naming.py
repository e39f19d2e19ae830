"""Public names of the interpreter's own packages: what a module exports, and which names are one object."""

import importlib
import sys
from types import ModuleType
from typing import Any, Dict, Iterator, List, Optional, Set, Tuple

NATIVE_ROOT = "tf"
# The trees below the first four hold again what is above them; the rest holds no functions of ops.
LEFT_OUT = {
    "tf.compat.v2", "tf.compat.v1.compat", "tf.compat.v1.keras", "tf.compat.v1.estimator", "tf.compat.v1.raw_ops",
    "tf.compat.v1.lite", "tf.contrib", "tf.core", "tf.python", "tf.tools", "tf.lite", "tf.tsl", "tf.xla", "tf.security",
    "tf.dtensor",
}  # fmt: skip
KERAS = {"keras", "tf_keras"}
DEPTH = 7


class UnknownNameError(Exception):
    """A name that cannot be resolved; `kind` is `missing`, `import` or `private`."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def resolve(name: str) -> Any:
    """The object of a dotted name; `tf` stands for tensorflow."""
    parts = name.split(".")
    if not all(p.isidentifier() for p in parts):
        raise UnknownNameError("missing", "%s is no dotted name" % name)
    if parts[0] == NATIVE_ROOT:
        parts[0] = "tensorflow"
    value = _imported(parts[0], name)
    path = parts[0]
    for part in parts[1:]:
        path += "." + part
        try:
            value = getattr(value, part)
            continue
        except AttributeError:
            pass
        except Exception as error:  # a lazy module that cannot be loaded may raise anything
            raise UnknownNameError("import", "%s cannot be imported: %s" % (name, _line(error))) from error
        if not isinstance(value, ModuleType):
            raise UnknownNameError("missing", "%s has no %s" % (path.rpartition(".")[0], part))
        value = _imported(path, name)
    return value


def _imported(module: str, name: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name == module:
            raise UnknownNameError("missing", "%s: there is no %s" % (name, module)) from None
        raise UnknownNameError("import", "%s cannot be imported: %s" % (name, _line(error))) from error
    except BaseException as error:
        raise UnknownNameError("import", "%s cannot be imported: %s" % (name, _line(error))) from error


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return "%s: %s" % (type(error).__name__, text[:300]) if text else type(error).__name__


def functions(name: str) -> List[Tuple[str, Any]]:
    """(name, object) of the public functions that `name` stands for: those of a module, or the one that it names.

    Of a module its classes and submodules are left out.
    """
    value = resolve(name)
    if not is_module(value):
        if not callable(value):
            raise UnknownNameError("missing", "%s is neither a module nor a function" % name)
        return [(name, value)]
    found = []
    for leaf in exported(value):
        try:
            member = getattr(value, leaf)
        except Exception:
            continue
        if callable(member) and not isinstance(member, type) and not is_module(member):
            found.append(("%s.%s" % (name, leaf), member))
    if not found:
        raise UnknownNameError("missing", "%s has no public functions" % name)
    return found


def is_module(value: Any) -> bool:
    return isinstance(value, ModuleType)


def exported(module: Any) -> List[str]:
    try:
        names = dir(module)
    except Exception:
        return []
    return [n for n in names if not n.startswith("_")]


def walk(root: str) -> Iterator[Tuple[str, Any]]:
    """(public name, object) of everything callable below `root`, each module looked at once for every path that the
    package itself gives it."""
    top = "tensorflow" if root == NATIVE_ROOT else root
    try:
        module = importlib.import_module(top)
    except BaseException:
        return
    yield from _walk(root, module, top, set(), 0)


def _walk(path: str, module: Any, top: str, above: Set[int], depth: int) -> Iterator[Tuple[str, Any]]:
    if path in LEFT_OUT or depth > DEPTH or id(module) in above:
        return
    above = above | {id(module)}
    for leaf in exported(module):
        try:
            value = getattr(module, leaf)
        except BaseException:
            continue
        inner = "%s.%s" % (path, leaf)
        if is_module(value):
            if _is_public(value, module, top, inner):
                yield from _walk(inner, value, top, above, depth + 1)
        elif callable(value):
            yield inner, value


def _is_public(module: Any, parent: Any, top: str, path: str) -> bool:
    """Whether a module found as an attribute is part of the package's API, and no module that it merely imported."""
    try:
        name = str(module.__name__)
    except Exception:
        return False
    if top == "tensorflow" and not path.startswith("tf.keras."):
        return name.startswith(("tensorflow._api.", "keras._tf_keras.", "keras.api.", "tf_keras.")) or path in (
            "tf.keras", "tf.raw_ops", "tf.compat", "tf.compat.v1", "tf.experimental"
        )  # fmt: skip
    if top == "tensorflow":
        top = "keras"
    elif name != "%s.%s" % (getattr(parent, "__name__", ""), path.rpartition(".")[2]):
        return False
    inside = name == top or name.startswith(top + ".")
    return inside and not any(p.startswith("_") or p in ("src", "python") for p in name.split(".")[1:])


def same_name(path: str) -> str:
    """One spelling for the spellings of one name: tf.keras.x and keras.x, tf.compat.v1.x and tf.x."""
    for prefix in ("tf.compat.v1.", "tf.compat.v2."):
        if path.startswith(prefix):
            path = "tf." + path[len(prefix) :]
    return path[3:] if path.startswith("tf.keras.") else path


class Names:
    """Which public names each object has: of TensorFlow, of Keras, and of the packages asked about."""

    def __init__(self, roots: List[str]) -> None:
        self._of: Dict[int, List[str]] = {}
        self._kept: List[Any] = []  # so that no id is used twice
        for root in dict.fromkeys([NATIVE_ROOT, "keras", *roots]):
            if root == "keras" and "keras" not in sys.modules:
                continue
            for path, value in walk(root):
                self._of.setdefault(id(value), []).append(path)
                self._kept.append(value)

    def of(self, value: Any) -> List[str]:
        """All names, plain ones before those of compat.v1."""
        found = self._of.get(id(value), [])
        return sorted(set(found), key=lambda n: (n.startswith("tf.compat."), n.count("."), n))

    def others(self, name: str, value: Any) -> List[str]:
        """Names of the same object that are not merely another spelling of `name`."""
        own, root = same_name(name), name.split(".")[0] + "."
        spellings: Dict[str, str] = {}
        for path in sorted(self.of(value), key=lambda n: not n.startswith(root)):
            spellings.setdefault(same_name(path), path)
        spellings.pop(own, None)
        return list(spellings.values())

    def natives(self) -> List[Tuple[str, Any]]:
        """(first name, function) of every function that TensorFlow exports outside Keras, raw ops aside."""
        found: Dict[int, Tuple[str, Any]] = {}
        for value in self._kept:
            if id(value) in found or isinstance(value, type):
                continue
            name = self.native_name(value)
            if name is not None:
                found[id(value)] = (name, value)
        return sorted(found.values(), key=lambda item: item[0])

    def native_name(self, value: Any) -> Optional[str]:
        if str(getattr(value, "__module__", "") or "").split(".")[0] in KERAS:
            return None
        names = [n for n in self.of(value) if is_native(n)]
        return names[0] if names else None


def is_native(name: str) -> bool:
    return name.startswith("tf.") and not name.startswith(("tf.keras.", "tf.raw_ops.", "tf.estimator."))
