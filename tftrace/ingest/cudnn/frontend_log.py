"""Reader of cudnn-frontend's log (`CUDNN_FRONTEND_LOG_INFO=1`, `CUDNN_FRONTEND_LOG_FILE=..`).

Grammar, as the cudnn-frontend inside TensorFlow 2.21 writes it:

    log    := (entry | blank line | foreign line)*
    entry  := "[cudnn_frontend] " [("INFO" | "WARN" | "ERROR") ": "] text (newline continuation)*
    text   := descriptor ":" fields                                     one kind of object that was built
              | "Verifying " plan ". " ("Passed" | other) "."           whether the plan was made
              | "Heuristic query for mode " n " has " n " configurations."
              | anything else
    continuation := a line without the mark that begins "Tag: " (the operations of the graph above it)
    fields := of a tensor       `Datatype: ["FLOAT"] Id: 120 nDims 4 .. Dim [ 2,8,16,16 ] Str [ .. ] ..`
              of a convolution  `Datatype: .. Mode: .. PadLower [ 1,1 ] PadUpper [,1,1 ] Dilation [,1,1 ] Stride [,1,1]`
              of a plan         `ConvFwd_eng28_k2=3_k3=0, numeric_notes:[..,] behavior_notes:[] workSpaceSize: 0`
              of an operation graph `has 1 operations.` + Tag

It has neither time nor process nor thread: only the order of its lines. What is not understood stays in `text`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tftrace.errors import InputError
from tftrace.ingest.cudnn.enums import KNOB_TYPE
from tftrace.ingest.cudnn.problem import DTYPES
from tftrace.ingest.recorded_file import read_recorded

NAME: Final = "cudnn_frontend_log"
TITLE: Final = "cudnn-frontend log"

_MARK: Final = "[cudnn_frontend] "
_LEVEL = re.compile(r"(INFO|WARN|WARNING|ERROR): ")
_DESCRIPTOR = re.compile(r"CUDNN_BACKEND_([A-Z]+(?:_[A-Z]+)*?)_DESCRIPTOR\s*:?\s*(.*)", re.DOTALL)
_PLAN = re.compile(
    r"(?P<tag>[^,\s]+),? numeric_notes:\[(?P<numeric>[^\]]*)\] behavior_notes:\[(?P<behavior>[^\]]*)\] "
    r"workSpaceSize: (?P<workspace>-?[0-9]{1,18})"
)
_VERIFYING = re.compile(r"Verifying (?P<tag>\S+)\. (?P<result>.*)", re.DOTALL)
_TAG = re.compile(r"(?P<operations>.*?)_?eng(?P<engine>[0-9]{1,9})(?P<knobs>(?:_k[0-9]{1,4}=-?[0-9]{1,9})*)")
_LIST = re.compile(r"([A-Za-z]+) \[([^\]\"]*)\]")
_WORD = re.compile(r"([A-Za-z_]+):? ?\[?\"?([A-Za-z0-9_-]+)\"?\]?")
_SIDES: Final = {"ConvFwd": "forward", "ConvBwdData": "backprop_input", "ConvBwdFilter": "backprop_filter"}
_OP: Final = {
    "forward": "Conv{}D", "backprop_input": "Conv{}DBackpropInput", "backprop_filter": "Conv{}DBackpropFilter",
}  # fmt: skip
_UID: Final = {ord("x"): "x", ord("w"): "w", ord("y"): "y"}
"""TensorFlow numbers its tensors by a letter."""


@dataclass(frozen=True)
class Entry:
    """One entry. `kind` is its descriptor in lower case ("tensor", "execution_plan", ..), "verifying" or "text";
    `fields` what could be read of it, `text` the entry as written, `line` the number of its line from 1."""

    line: int
    kind: str
    text: str
    level: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class FrontendLog:
    """The entries of one log in their order; `other` are the lines that are no part of any."""

    path: Path
    entries: list[Entry]
    other: list[str]
    cut: str | None


def sniff(path: Path, head: bytes) -> bool:
    """Whether these are the first bytes of a log of cudnn-frontend."""
    return any(line.startswith(_MARK.encode()) for line in head.split(b"\n")[:50])


def read(path: Path) -> FrontendLog:
    """Reads a log, plain or compressed. Raises InputError where it cannot be read or holds no entry."""
    recorded = read_recorded(path)
    log = parse_log(recorded.data.decode("utf-8", "replace"), path, recorded.cut)
    if not log.entries:
        raise InputError(
            f"{path}: holds no entry of cudnn-frontend; give the file that CUDNN_FRONTEND_LOG_FILE named"
        )
    return log


def parse_log(text: str, path: Path = Path("(memory)"), cut: str | None = None) -> FrontendLog:
    """The same of text. Raises nothing."""
    gathered: list[tuple[int, str]] = []
    other: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        line = line.rstrip("\r")
        if line.startswith(_MARK):
            gathered.append((number, line.removeprefix(_MARK)))
        elif gathered and line.startswith("Tag: "):
            gathered[-1] = (gathered[-1][0], f"{gathered[-1][1]}\n{line}")
        elif line.strip():
            other.append(line)
    return FrontendLog(path, [_entry(number, body) for number, body in gathered], other, cut)


def _entry(number: int, body: str) -> Entry:
    level = _LEVEL.match(body)
    text = body[level.end() :] if level else body
    name = level[1] if level else None
    if match := _VERIFYING.fullmatch(text):
        passed = match["result"].startswith("Passed")
        fields = {"tag": match["tag"], "passed": passed} | plan_of(match["tag"])
        return Entry(number, "verifying", body, name, fields)
    match = _DESCRIPTOR.match(text)
    if match is None:
        return Entry(number, "text", body, name)
    kind = match[1].lower()
    return Entry(number, kind, body, name, _FIELDS.get(kind, _general)(match[2]))


def _general(text: str) -> dict[str, Any]:
    lists = {key: _ints(values) for key, values in _LIST.findall(text)}
    words = {key: _number(value) for key, value in _WORD.findall(_LIST.sub("", text))}
    return words | lists


def _graph(text: str) -> dict[str, Any]:
    count = re.search(r"has ([0-9]{1,9}) operations", text)
    tag = re.search(r"^Tag: (.*)$", text, re.MULTILINE)
    return {"operations": int(count[1]) if count else None, "tag": tag[1].strip() if tag else None}


def _plan(text: str) -> dict[str, Any]:
    match = _PLAN.match(text)
    if match is None:
        return {}
    notes = {
        key: [n for n in match[group].split(",") if n]
        for key, group in (("numeric_notes", "numeric"), ("behavior_notes", "behavior"))
    }
    return {"tag": match["tag"], "workspace_bytes": int(match["workspace"]), **notes} | plan_of(match["tag"])


_FIELDS: Final = {"operationgraph": _graph, "execution_plan": _plan}


def plan_of(tag: str) -> dict[str, Any]:
    """Operations, engine, knobs (by name) and algorithm of a tag such as `ConvFwd_eng28_k2=3`; {} for another text."""
    match = _TAG.fullmatch(tag)
    if match is None:
        return {}
    knobs = {}
    for part in match["knobs"].split("_")[1:]:
        number, _, value = part[1:].partition("=")
        knobs[KNOB_TYPE.get(int(number), f"k{number}")] = int(value)
    algorithm = f"eng{match['engine']}{match['knobs']}"
    return {
        "operation": match["operations"], "engine": int(match["engine"]), "knobs": knobs, "algorithm": algorithm,
    }  # fmt: skip


def problem_of(
    tag: str | None, tensors: dict[int, Entry], convolution: Entry | None
) -> dict[str, Any] | None:
    """The convolution that a graph with this tag computes, from the descriptors logged before it; None where the tag
    names no convolution or its tensors are not those TensorFlow numbers x, w, y."""
    operations = [part for part in (tag or "").split("_") if part]
    direction = _SIDES.get(operations[0]) if operations else None
    sides = {name: tensors.get(uid) for uid, name in _UID.items()}
    if direction is None or convolution is None or any(entry is None for entry in sides.values()):
        return None
    dims = {name: entry.fields.get("Dim", []) for name, entry in sides.items() if entry is not None}
    rank = len(dims["x"])
    if rank < 3 or any(len(d) != rank for d in dims.values()):
        return None
    source = tensors[ord("x")].fields
    last = source.get("Str", [])[1:2] == [1] and dims["x"][1] > 1
    spatial = "DHW"[5 - rank :]
    space = convolution.fields
    name = str(source.get("Datatype"))
    before, after = space.get("PadLower", []), space.get("PadUpper", [])
    rest = (tag or "").strip("_").removeprefix(operations[0]).strip("_")
    return {
        "op": _OP[direction].format(rank - 2),
        "direction": direction,
        "input": _ordered(dims["x"], last),
        "filter": [*dims["w"][2:], dims["w"][1], dims["w"][0]],
        "output": _ordered(dims["y"], last),
        "strides": space.get("Stride", []),
        "dilations": space.get("Dilation", []),
        "padding": [list(pair) for pair in zip(before, after, strict=False)],
        "groups": max(dims["x"][1] // max(dims["w"][1], 1), 1),
        "layout": f"N{spatial}C" if last else f"NC{spatial}",
        "dtype": DTYPES.get(name, name),
        "math": DTYPES.get(str(space.get("Datatype")), None),
        "fused": [part for part in rest.split("_") if part],
    }


def _ordered(sizes: list[int], last: bool) -> list[int]:
    return [sizes[0], *sizes[2:], sizes[1]] if last else list(sizes)


def _ints(text: str) -> list[int]:
    parts = [p.strip() for p in text.split(",")]
    return [int(p) for p in parts if re.fullmatch(r"-?[0-9]{1,18}", p)]


def _number(text: str) -> int | str:
    return int(text) if re.fullmatch(r"-?[0-9]{1,18}", text) else text
