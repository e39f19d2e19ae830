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
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

_RUN = re.compile(r"(Process node|Synchronous kernel done|Async kernel done): (\d+) step (-?\d{1,18}) ")
_NODE = re.compile(
    r"(?:\{\{function_node [^}]*\}\})?\{\{node ([^}]*)\}\} = ([\w>]+)\[(.*)\]\((.*?)\)( is dead)? device: (\S*)"
)
_HEAD = r"\{\s+(?:goo\.gle/\w+\s+)?step_id: (-?\d{1,18}) "  # the word is put there lest anybody parses what follows
_STEP = re.compile(rf'__LOG_MEMORY__ MemoryLogStep {_HEAD}handle: "([^"]*)"')
_OUTPUT = re.compile(
    rf'__LOG_MEMORY__ MemoryLogTensorOutput {_HEAD}kernel_name: "([^"]*)" (?:index: (\d+) )?'
    r"tensor \{ (?:dtype: DT_(\w+) )?shape \{ ((?:dim \{ (?:size: -?\d+ )?\} )*)\}"
)
_METHOD = re.compile(r"\w+(?:::\w+)+")
NONE: Final = -1
Int = npt.NDArray[np.int64]
_DIGITS: Final = 18
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


class Form(NamedTuple):
    """What the log says of a node whenever it runs; of each input the node that makes it, and the place there."""

    node: str
    kernel: str
    attrs: dict[str, Any]
    inputs: list[tuple[str, int]]
    device: str


@dataclass(frozen=True)
class NodeRuns:
    """Runs of nodes, in the order in which they began: arrays with one element a run. `end` is -1 where there is none,
    `form` a code into `forms`, `given` one into `inputs`, as in `NodeRun`."""

    step: Int
    tid: Int
    start: Int
    end: Int
    form: Int
    given: Int
    forms: list[Form]
    inputs: list[list[list[Any] | None]]

    def __len__(self) -> int:
        return len(self.step)

    def __getitem__(self, at: int) -> NodeRun:
        form, end = self.forms[self.form[at]], int(self.end[at])
        return NodeRun(
            int(self.step[at]), form.node, form.kernel, form.attrs, self.inputs[self.given[at]], form.device,
            int(self.tid[at]), int(self.start[at]), None if end == NONE else end,
        )  # fmt: skip

    def __iter__(self) -> Iterator[NodeRun]:
        return (self[at] for at in range(len(self)))


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
    nodes: NodeRuns
    steps: list[StepRun] = field(default_factory=list)
    methods: list[Method] = field(default_factory=list)
    other: int = 0  # lines that say something else


def read_executor_log(path: Path) -> ExecutorLog:
    """What `path` tells; nothing where there is no such file."""
    if not path.exists():
        return parse_lines(())
    with path.open("rb") as file:
        return parse_lines(line.removesuffix(b"\n") for line in file)


def parse(data: bytes) -> ExecutorLog:
    """The same of bytes."""
    return parse_lines(data.split(b"\n"))


def parse_lines(lines: Iterable[bytes]) -> ExecutorLog:
    """What these lines tell, each without its newline; zeros in them are left out."""
    scan = _Scan()
    for line in lines:
        scan.take(line.replace(b"\0", b"").decode("utf-8", "replace"))
    return scan.log()


class _Scan:
    """One pass over the lines of a log."""

    def __init__(self) -> None:
        self.steps: list[StepRun] = []
        self.methods: list[Method] = []
        self.other = 0
        self.step, self.tid, self.start, self.end, self.form = (array("q") for _ in range(5))
        self.open: dict[tuple[int, str], list[int]] = {}
        self.told: dict[str, Form | None] = {}  # by the text behind the step
        self.forms: list[Form] = []
        self.codes: dict[str, int] = {}
        self.made = tuple(array("q") for _ in range(3))  # tensors: step, output, type and shape
        self.outputs: dict[tuple[str, int], int] = {}
        self.kinds: dict[tuple[str | None, str], int] = {}

    def log(self) -> ExecutorLog:
        step, tid, start, end, form = (
            np.array(values, np.int64) for values in (self.step, self.tid, self.start, self.end, self.form)
        )
        given, inputs = self._inputs(step, form)
        nodes = NodeRuns(step, tid, start, end, form, given, self.forms, inputs)
        return ExecutorLog(nodes, self.steps, self.methods, self.other)

    def take(self, line: str) -> None:
        parts = line.split(" ", 2)
        if len(parts) != 3 or not _whole(parts[0]) or not _whole(parts[1]):
            self.other += bool(line)
            return
        tid, t = int(parts[0]), int(parts[1])
        message = parts[2].partition("] ")[2]
        if (run := _RUN.match(message)) and (form := self._form(text := message[run.end() :])):
            self._run(run, form, text, tid, t)
        elif begun := _STEP.match(message):
            fetches = begun[2].partition("->")[2].partition("/")[0]
            self.steps.append(StepRun(int(begun[1]), tid, t, [f for f in fetches.split(",") if f]))
        elif output := _OUTPUT.match(message):
            step, name, index, dtype, sizes = output.groups()
            steps, outputs, kinds = self.made
            steps.append(int(step))
            outputs.append(self.outputs.setdefault((name, int(index or 0)), len(self.outputs)))
            kinds.append(self.kinds.setdefault((dtype, sizes), len(self.kinds)))
        elif _METHOD.fullmatch(message):
            self.methods.append(Method(tid, t, message))
        else:
            self.other += 1

    def _form(self, text: str) -> Form | None:
        try:
            return self.told[text]
        except KeyError:
            form = self.told[text] = _form(text)
            return form

    def _run(self, run: re.Match[str], form: Form, text: str, tid: int, t: int) -> None:
        what, number, step = run.groups()
        key = int(step), number
        if what == "Process node":
            self.open.setdefault(key, []).append(len(self.step))
            code = self.codes.setdefault(text, len(self.forms))
            if code == len(self.forms):
                self.forms.append(form)
            self.step.append(key[0])
            self.tid.append(tid)
            self.start.append(t)
            self.end.append(NONE)
            self.form.append(code)
            return
        rows = waiting = self.open.get(key, [])
        if what.startswith(
            "Sync"
        ):  # it ends on the thread it began on; another may run the same node of a loop
            rows = [row for row in rows if self.tid[row] == tid][-1:]
        if rows:
            self.end[rows[0]] = t
            waiting.remove(rows[0])
            if not waiting:
                del self.open[key]

    def _inputs(self, step: Int, form: Int) -> tuple[Int, list[list[list[Any] | None]]]:
        """For each run a code of what it was given: the tensors that were told last in its step, under these names."""
        made_step, output, kind = (np.array(values, np.int64) for values in self.made)
        steps, in_step = np.unique(made_step, return_inverse=True)
        order = np.argsort(in_step * len(self.outputs) + output, kind="stable")
        keys = (in_step * len(self.outputs) + output)[order]
        last = np.append(keys[1:] != keys[:-1], True)[: len(keys)]
        keys, kind = np.append(keys[last], NONE), np.append(kind[order][last], NONE)
        of = np.searchsorted(steps, step)
        of[np.append(steps, 0)[of] != step] = NONE
        of[of == len(steps)] = NONE
        told = [[_dtype(dtype or "INVALID"), _shape(sizes)] for dtype, sizes in self.kinds]
        given, inputs = np.zeros(len(step), np.int64), list[list[list[Any] | None]]()
        by_form = np.argsort(form, kind="stable")
        ends = np.cumsum(np.bincount(form, minlength=len(self.forms))).tolist()
        for one, first, end in zip(self.forms, [0, *ends], ends, strict=False):
            rows, names = by_form[first:end], one.inputs
            found = np.full((len(rows), len(names)), NONE, np.int64)
            for n, name in enumerate(names):
                key = of[rows] * len(self.outputs) + self.outputs.get(name, 0)
                at = np.searchsorted(keys[:-1], key)
                known = (keys[at] == key) & (of[rows] != NONE) & (name in self.outputs)
                found[known, n] = kind[at[known]]
            number, kinds = _told_apart(found)
            given[rows] = len(inputs) + number
            inputs += [[None if k == NONE else told[k] for k in some] for some in kinds]
        return given, inputs


def _told_apart(rows: Int) -> tuple[Int, list[list[int]]]:
    """The number of each of these rows, and the different ones."""
    if not rows.shape[1]:
        return np.zeros(len(rows), np.int64), [[]]
    kinds, number = np.unique(rows, axis=0, return_inverse=True)
    return np.asarray(number, np.int64).reshape(-1), kinds.tolist()


def _whole(text: str) -> bool:
    """Whether this is a number that a record holds."""
    return text.isdecimal() and len(text) <= _DIGITS


def _form(text: str) -> Form | None:
    match = _NODE.match(text)
    if match is None:
        return None
    node, kernel, attrs, inputs, _, device = match.groups()
    return Form(node, kernel, attributes(attrs), _inputs(inputs), device)


def _inputs(text: str) -> list[tuple[str, int]]:
    found = []
    for name in (part.strip() for part in text.split(",")):
        if name and not name.startswith("^"):
            node, _, index = name.partition(":")
            found.append((node, int(index) if index.isdigit() else 0))
    return found


def _shape(text: str) -> list[int]:
    return [int(size or 0) for size in re.findall(r"dim \{ (?:size: (-?\d+) )?\}", text)]


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
