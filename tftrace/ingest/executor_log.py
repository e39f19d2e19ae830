"""Reader of what TensorFlow's executors log of each node they run (`executor.bin` and `tf_log.bin`, see
`tftrace.agent.contract`).

Written by TensorFlow 2.12 to 2.21 under `TF_CPP_VMODULE=executor=2,log_memory=2`; by TensorFlow Federated 0.87 too,
whose own executors log in a file of the same module:

    line     := thread " " time " " file ":" number "] " message
    message  := "Process node: " run | ("Synchronous" | "Async") " kernel done: " run
              | "__LOG_MEMORY__ MemoryLogStep { step_id: " step ' handle: "' feeds "->" fetches "/" .. '" }'
              | "__LOG_MEMORY__ MemoryLogTensorOutput { step_id: " step ' kernel_name: "' node '"' [" index: " number]
                " tensor { dtype: " dtype " shape { " ("dim { size: " number " } ")* "} " ..
              | name                                        a method of TFF's executors that was called
    run      := id " step " step " " ["{{function_node " name "}}"] "{{node " node "}} = " kernel "[" attributes "]("
                inputs ")" [" is dead"] " device: " device

Times are raw ones of our own, taken where the line was printed: a kernel began when its first line was printed, and
ended when TensorFlow had worded the second one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

_RUN = re.compile(r"(Process node|Synchronous kernel done|Async kernel done): (\d+) step (-?\d+) ")
_NODE = re.compile(
    r"(?:\{\{function_node [^}]*\}\})?\{\{node ([^}]*)\}\} = ([\w>]+)\[(.*)\]\((.*?)\)( is dead)? device: (\S*)"
)
_HEAD = (
    r"\{\s+(?:goo\.gle/\w+\s+)?step_id: (-?\d+) "  # the word is put there lest anybody parses what follows
)
_STEP = re.compile(rf'__LOG_MEMORY__ MemoryLogStep {_HEAD}handle: "([^"]*)"')
_OUTPUT = re.compile(
    rf'__LOG_MEMORY__ MemoryLogTensorOutput {_HEAD}kernel_name: "([^"]*)" (?:index: (\d+) )?'
    r"tensor \{ (?:dtype: DT_(\w+) )?shape \{ ((?:dim \{ (?:size: -?\d+ )?\} )*)\}"
)
_METHOD = re.compile(r"\w+(?:::\w+)+")
_FORMS: Final = 1 << 12
"""Nodes of which is kept what the log says whenever they run."""
_TYPES: Final = {"FLOAT": "float32", "HALF": "float16", "DOUBLE": "float64"}


class NodeRun(NamedTuple):
    """One execution of a node: `kernel` is the kernel's op after TensorFlow's rewriting; `end` None where it did not
    end, or nobody saw it."""

    step: int
    node: str
    kernel: str
    attrs: dict[str, Any]
    inputs: list[list[Any] | None]  # [dtype, shape] of each, None where it was not seen being made
    device: str
    tid: int
    start: int
    end: int | None


class StepRun(NamedTuple):
    """One run of a graph by a session: it begins at `start`, and ends when its last node has ended."""

    step: int
    tid: int
    start: int
    fetches: list[str]


class Method(NamedTuple):
    tid: int
    t: int
    name: str


@dataclass
class ExecutorLog:
    nodes: list[NodeRun] = field(default_factory=list)
    steps: list[StepRun] = field(default_factory=list)
    methods: list[Method] = field(default_factory=list)
    other: int = 0  # lines that say something else


def read_executor_log(path: Path) -> ExecutorLog:
    """What `path` tells; nothing where there is no such file."""
    if not path.exists():
        return ExecutorLog()
    with path.open("rb") as file:
        return parse_lines(line.removesuffix(b"\n") for line in file)


def parse(data: bytes) -> ExecutorLog:
    """The same of bytes."""
    return parse_lines(data.split(b"\n"))


def parse_lines(lines: Iterable[bytes]) -> ExecutorLog:
    """What these lines tell, each without its newline; zeros in them are left out."""
    log = ExecutorLog()
    open_: dict[tuple[int, str], list[int]] = {}
    made: dict[tuple[int, str, int], list[Any]] = {}
    wanted: list[list[tuple[str, int]]] = []
    ran = lru_cache(_FORMS)(_ran)
    for line in lines:
        line = line.replace(b"\0", b"")
        parts = line.decode("utf-8", "replace").split(" ", 2)
        if len(parts) != 3 or not parts[0].isdigit() or not parts[1].isdigit():
            log.other += bool(line)
            continue
        tid, t = int(parts[0]), int(parts[1])
        message = parts[2].partition("] ")[2]
        if (run := _RUN.match(message)) and (node := ran(message[run.end() :])):
            what, number, step = run.groups()
            key = (int(step), number)
            if what == "Process node":
                open_.setdefault(key, []).append(len(log.nodes))
                wanted.append(node.inputs)
                log.nodes.append(
                    NodeRun(key[0], node.name, node.kernel, node.attrs, [], node.device, tid, t, None)
                )
                continue
            rows = open_.get(key, [])
            if what.startswith(
                "Sync"
            ):  # it ends on the thread it began on; another may run the same node of a loop
                rows = [row for row in rows if log.nodes[row].tid == tid][-1:]
            if rows:
                ended = rows[0]
                open_[key].remove(ended)
                log.nodes[ended] = log.nodes[ended]._replace(end=t)
        elif begun := _STEP.match(message):
            fetches = begun[2].partition("->")[2].partition("/")[0]
            log.steps.append(StepRun(int(begun[1]), tid, t, [f for f in fetches.split(",") if f]))
        elif output := _OUTPUT.match(message):
            step, name, index, dtype, sizes = output.groups()
            shape = [int(size or 0) for size in re.findall(r"dim \{ (?:size: (-?\d+) )?\}", sizes)]
            made[int(step), name, int(index or 0)] = [_dtype(dtype or "INVALID"), shape]
        elif _METHOD.fullmatch(message):
            log.methods.append(Method(tid, t, message))
        else:
            log.other += 1
    for row, names in enumerate(wanted):
        log.nodes[row].inputs.extend(made.get((log.nodes[row].step, *name)) for name in names)
    return log


class _Ran(NamedTuple):
    """What the log says of a node whenever it runs."""

    name: str
    kernel: str
    attrs: dict[str, Any]
    inputs: list[tuple[str, int]]
    device: str


def _ran(text: str) -> _Ran | None:
    match = _NODE.match(text)
    if match is None:
        return None
    name, kernel, attrs, inputs, _, device = match.groups()
    return _Ran(name, kernel, attributes(attrs), _inputs(inputs), device)


def _inputs(text: str) -> list[tuple[str, int]]:
    found = []
    for name in (part.strip() for part in text.split(",")):
        if name and not name.startswith("^"):
            node, _, index = name.partition(":")
            found.append((node, int(index) if index.isdigit() else 0))
    return found


def _dtype(name: str) -> str:
    return _TYPES.get(name, name.lower())


def attributes(text: str) -> dict[str, Any]:
    """`T=DT_FLOAT, strides=[1, 1, 1, 1], padding="SAME"` without what TensorFlow adds for itself (names with `_`)."""
    found: dict[str, Any] = {}
    for name, value in re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\[[^\]]*\]|[^,\[]+(?:<[^>]*>)?)', text):
        if not name.startswith("_"):
            found[name] = _value(value.strip())
    return found


def _value(text: str) -> Any:
    if text.startswith('"'):
        return text[1:-1]
    if text.startswith("["):
        inner = text[1:-1].strip()
        return [_value(part.strip()) for part in inner.split(",")] if inner else []
    if text.startswith("DT_"):
        return _dtype(text[3:])
    if text in ("true", "false"):
        return text == "true"
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    return text
