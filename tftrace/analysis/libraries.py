"""What the events of the library layer say: which library, which call, which algorithm and implementation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import orjson
import pyarrow.compute as pc

from tftrace.analysis.attributes import Attributes, attributes
from tftrace.analysis.columns import Bools, Ints, Texts, codes, combined, spelled
from tftrace.analysis.picked import Picked
from tftrace.model.trace import Trace

_OF_PROBE = {"itt": "oneDNN", "onednn": "oneDNN", "cudnn": "cuDNN"}
_VERSION_KEY = {
    "onednn": "onednn",
    "cudnn": "cudnn",
    "cublas": "cublas",
    "eigen": "eigen",
    "miopen": "miopen",
}
_TIMES = r'"(?:verbose_ms|timestamp_ms|ms)"\s*:\s*[-+0-9.eE]+'
"""Statistics that differ from call to call; left out before equal descriptions are put together."""
_AUXILIARY = frozenset({"reorder", "zero_pad"})
_LAUNCHERS = frozenset({"CUDA", "HIP"})
"""Runtimes whose calls hand the work of other libraries and of TensorFlow's own kernels to a device."""


@dataclass(frozen=True)
class Library:
    """One kind of library call, as the `library` object of the why contract. `problem` is the library's own text or
    object; what the trace does not say is None."""

    name: str | None
    version: str | None
    call: str | None
    algorithm: str | None
    implementation: str | None
    engine: str | int | None
    knobs: dict[str, Any] | None
    problem: dict[str, Any] | str | None
    workspace_bytes: int | None
    tuning: bool | None = None  # made by an autotuner; None where that is not known, or has no meaning
    about: str | None = None  # of a call that prepares: the attribute or the kind of descriptor it is about
    status: str | None = None  # what the library returned, by its own name for it

    @property
    def auxiliary(self) -> bool:
        """Whether it only serves another call, and so does not tell one group of calls from another: it rearranges
        memory, describes a problem, tries a candidate, or starts work on a device."""
        return self.call in _AUXILIARY or self.tuning is True or self._prepares or self.launches

    @property
    def launches(self) -> bool:
        """Whether it only hands work to a device."""
        return self.name in _LAUNCHERS

    @property
    def _prepares(self) -> bool:
        return self.name == "cuDNN" and self.problem is None and self.call != "cudnnBackendExecute"

    def words(self) -> list[str]:
        """The names a `library:` pattern is compared with."""
        named = (self.name, self.call, self.algorithm, self.implementation, self.engine)
        return [str(w) for w in named if w is not None]

    def document(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Kinds:
    """The kinds of call among some events: event i is `kinds[code[i]]` and stands for `calls[i]` calls."""

    kinds: list[Library]
    code: Ints
    calls: Ints

    @property
    def auxiliary(self) -> Bools:
        return np.fromiter((k.auxiliary for k in self.kinds), np.bool_, len(self.kinds))

    @property
    def launching(self) -> Bools:
        return np.fromiter((k.launches for k in self.kinds), np.bool_, len(self.kinds))


def read(trace: Trace, rows: Ints) -> Kinds:
    """The kinds of call of the events in these rows of the events table. Linear in the rows; each distinct description
    is decoded once. Attributes that are no JSON object count as none."""
    picked = Picked(trace, "events", ("name", "probe"), rows)
    return told(trace, picked.texts("name"), picked.texts("probe"), attributes(trace, rows))


def told(trace: Trace, name: Texts, probe: Texts, said: Attributes) -> Kinds:
    """The same of events with these names, probes and attributes."""
    if not len(name.codes):
        return Kinds([], np.zeros(0, np.int64), np.zeros(0, np.int64))
    # texts that differ in a time alone are one
    alike = pc.replace_substring_regex(said.texts, _TIMES, '"ms":0').dictionary_encode()
    attrs = Texts(np.append(codes(alike), -1)[said.code], spelled(alike.dictionary))
    code, count = combined(name.codes, probe.codes, attrs.codes)
    sample = np.zeros(count, np.int64)
    sample[code[::-1]] = np.arange(len(code))[::-1]
    seen: dict[bytes, int] = {}
    kinds: list[Library] = []
    merged, calls = np.zeros(count, np.int64), np.ones(count, np.int64)
    decoded: dict[int, dict[str, Any]] = {}
    for i, row in enumerate(sample.tolist()):
        at_code = int(attrs.codes[row])
        if at_code not in decoded:
            decoded[at_code] = json_object(attrs.of(row)) or {}
        kind = _kind(trace.manifest, name.of(row), probe.of(row), decoded[at_code])
        key = orjson.dumps(kind.document(), option=orjson.OPT_SORT_KEYS, default=str)
        if key not in seen:
            seen[key] = len(kinds)
            kinds.append(kind)
        merged[i] = seen[key]
        stated = decoded[at_code].get("calls")
        calls[i] = stated if isinstance(stated, int) and stated > 0 else 1
    return Kinds(kinds, merged[code], calls[code])


def _kind(manifest: Mapping[str, Any], call: str | None, probe: str | None, attrs: dict[str, Any]) -> Library:
    library = _text(attrs.get("library")) or _OF_PROBE.get(probe or "")
    if library is None and call and call.startswith("cudnn"):
        library = "cuDNN"
    problem, knobs = attrs.get("problem") or attrs.get("problem_descriptor"), attrs.get("knobs")
    engine, workspace = attrs.get("engine"), attrs.get("workspace_bytes")
    tuning = attrs.get("tuning")
    return Library(
        name=library,
        version=version(manifest, library),
        call=call,
        algorithm=_text(attrs.get("algorithm")),
        implementation=_text(attrs.get("implementation")),
        engine=engine if isinstance(engine, int) and not isinstance(engine, bool) else _text(engine),
        knobs=knobs if isinstance(knobs, dict) else None,
        problem=problem if isinstance(problem, dict) else _text(problem),
        workspace_bytes=workspace if isinstance(workspace, int) and not isinstance(workspace, bool) else None,
        tuning=tuning if isinstance(tuning, bool) else None,
        about=_text(attrs.get("attribute") or attrs.get("descriptor")),
        status=_text(attrs.get("status")),
    )


def version(manifest: Mapping[str, Any], library: str | None) -> str | None:
    """The version of the library that the run reported, e.g. of "oneDNN"; None where it did not."""
    versions = manifest.get("versions")
    if library is None or not isinstance(versions, dict):
        return None
    wanted = _VERSION_KEY.get(library.lower(), library.lower())
    return next((_text(v) for k, v in versions.items() if str(k).lower() == wanted), None)


def json_object(text: str | None) -> dict[str, Any] | None:
    """The JSON object in `text`; None for null, for anything else, and for text that is no JSON."""
    if not text:
        return None
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _text(value: object) -> str | None:
    return None if value is None else str(value)
