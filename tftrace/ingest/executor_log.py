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
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tftrace.ingest.executor_forms import Form, dtype_of, form_of, shape
from tftrace.ingest.executor_lines import BEGUN, ENDED, ENDED_ELSEWHERE, Lines, Tensors, lines_in
from tftrace.store.pages import Growing, Pages

PIECE: Final = 1 << 21

_RUN = re.compile(r"(Process node|Synchronous kernel done|Async kernel done): (\d+) step (-?\d{1,18}) ")
_HEAD = r"\{\s+(?:goo\.gle/\w+\s+)?step_id: (-?\d{1,18}) "  # the word is put there lest anybody parses what follows
_STEP = re.compile(rf'__LOG_MEMORY__ MemoryLogStep {_HEAD}handle: "([^"]*)"')
_OUTPUT = re.compile(
    rf'__LOG_MEMORY__ MemoryLogTensorOutput {_HEAD}kernel_name: "([^"]*)" (?:index: (\d+) )?'
    r"tensor \{ (?:dtype: DT_(\w+) )?shape \{ ((?:dim \{ (?:size: -?\d+ )?\} )*)\}"
)
_WORDS: Final = {
    "Process node": BEGUN, "Synchronous kernel done": ENDED, "Async kernel done": ENDED_ELSEWHERE,
}  # fmt: skip
_METHOD = re.compile(r"\w+(?:::\w+)+")
NONE: Final = -1
Int = npt.NDArray[np.int64]
_DIGITS: Final = 18


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
    scan = _Scan()
    if path.exists():
        with path.open("rb") as file:
            scan.pieces(iter(partial(file.read, PIECE), b""))
    return scan.log()


def parse(data: bytes) -> ExecutorLog:
    """The same of bytes."""
    scan = _Scan()
    scan.pieces(data[at : at + PIECE] for at in range(0, len(data), PIECE))
    return scan.log()


def parse_lines(lines: Iterable[bytes]) -> ExecutorLog:
    """What these lines tell, each without its newline; zeros in them are left out."""
    scan = _Scan()
    scan.pieces(line + b"\n" for line in lines)
    return scan.log()


class _Scan:
    """One pass over the lines of a log."""

    def __init__(self) -> None:
        self.steps: list[StepRun] = []
        self.methods: list[Method] = []
        self.other = 0
        self.texts: dict[str, int] = {}  # what stands behind a step, and what it says
        self.forms: list[Form | None] = []
        self.outputs: dict[tuple[str, int], int] = {}
        self.kinds: dict[tuple[str | None, str], int] = {}
        self.odd_numbers: dict[str, int] = {}
        pages = Pages()
        kinds = (np.int8, np.int64, np.int64, np.int64, np.int64, np.int32)
        self.runs = [pages.column(kind) for kind in kinds]  # kind, thread, time, step, number, text
        self.made = [pages.column(np.int64) for _ in range(3)]  # tensors: step, output, type and shape

    def log(self) -> ExecutorLog:
        kind, tid, t, step, number, text = (column.array() for column in self.runs)
        end = _ends(kind, tid, t, step, number)
        begun = np.flatnonzero(kind == BEGUN)
        used, first, of = np.unique(text[begun], return_index=True, return_inverse=True)
        order = np.argsort(first)  # forms are numbered as they come
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        forms = [form for code in used[order].tolist() if (form := self.forms[code]) is not None]
        given, inputs = self._inputs(step[begun], place[of], forms)
        nodes = NodeRuns(step[begun], tid[begun], t[begun], end[begun], place[of], given, forms, inputs)
        return ExecutorLog(nodes, self.steps, self.methods, self.other)

    def pieces(self, pieces: Iterable[bytes]) -> None:
        """All of a file, in pieces of any size."""
        held: list[bytes] = []
        size = at = 0
        for piece in pieces:
            held.append(piece)
            size += len(piece)
            if size >= PIECE and b"\n" in piece:
                data = b"".join(held)
                end = data.rfind(b"\n") + 1
                self._lines(lines_in(data[:end], at), data)
                held, size, at = [data[end:]], len(data) - end, at + end
        data = b"".join(held)
        end = data.rfind(b"\n") + 1
        self._lines(lines_in(data[:end], at), data)
        self._lines(lines_in(b"", at), b"", [(0, data[end:])])

    def _lines(self, found: Lines, data: bytes, more: Sequence[tuple[int, bytes]] = ()) -> None:
        """Lines that were read together, and those to be read by themselves; what is told of nodes stays in its order,
        and so does what is told of tensors."""
        runs, tensors = found.runs, found.tensors
        texts = np.array([self._text(text.decode("utf-8", "replace")) for text in runs.texts], np.int64)
        known = np.array([self.forms[code] is not None for code in texts.tolist()], np.bool_)[runs.text]
        self.other += int((~known).sum())
        told = (runs.row, runs.kind, runs.tid, runs.t, runs.step, runs.number, texts[runs.text])
        row, *run = (values[known] for values in told)
        made = self._tensors(tensors)
        known = made[1] != NONE
        odd = [(n, data[found.first[n] : found.last[n]]) for n in tensors.row[~known].tolist()]
        alone = [
            (n, *self._told(line.replace(b"\0", b"").decode("utf-8", "replace")))
            for n, line in sorted((*found.odd, *odd, *more))
        ]
        _add(self.runs, row, run, [(n, run) for n, run, _ in alone if run])
        _add(
            self.made, tensors.row[known], [v[known] for v in made], [(n, one) for n, _, one in alone if one]
        )

    def _tensors(self, found: Tensors) -> tuple[Int, Int, Int]:
        """Step, output, and type and shape of each; NONE for what has to be read by itself."""
        key, at, of = np.unique(
            found.head * len(found.tails) + found.tail, return_index=True, return_inverse=True
        )
        codes = np.full((len(key), 2), NONE, np.int64)
        for n in np.argsort(at).tolist():
            head, tail = found.heads[found.head[at[n]]], found.tails[found.tail[at[n]]]
            text = b"__LOG_MEMORY__ MemoryLogTensorOutput " + head + b"0 " + tail
            if output := _OUTPUT.match(text.decode("utf-8", "replace")):
                codes[n] = self._made(output)
        of = of.reshape(-1)
        return found.step, codes[of, 0], codes[of, 1]

    def _made(self, output: re.Match[str]) -> tuple[int, int]:
        _, name, index, dtype, sizes = output.groups()
        return (
            self.outputs.setdefault((name, int(index or 0)), len(self.outputs)),
            self.kinds.setdefault((dtype, sizes), len(self.kinds)),
        )

    def _told(self, line: str) -> tuple[tuple[int, ...] | None, tuple[int, ...] | None]:
        """What a line tells of a node, as in `runs`, or of a tensor, as in `made`; the rest is taken in here."""
        parts = line.split(" ", 2)
        if len(parts) != 3 or not _whole(parts[0]) or not _whole(parts[1]):
            self.other += bool(line)
            return None, None
        tid, t = int(parts[0]), int(parts[1])
        message = parts[2].partition("] ")[2]
        if (run := _RUN.match(message)) and self.forms[code := self._text(message[run.end() :])] is not None:
            what, number, step = run.groups()
            return (_WORDS[what], tid, t, int(step), self._number(number), code), None
        if begun := _STEP.match(message):
            fetches = begun[2].partition("->")[2].partition("/")[0]
            self.steps.append(StepRun(int(begun[1]), tid, t, [f for f in fetches.split(",") if f]))
        elif output := _OUTPUT.match(message):
            return None, (int(output[1]), *self._made(output))
        elif _METHOD.fullmatch(message):
            self.methods.append(Method(tid, t, message))
        else:
            self.other += 1
        return None, None

    def _text(self, text: str) -> int:
        code = self.texts.get(text)
        if code is None:
            code = self.texts[text] = len(self.forms)
            self.forms.append(form_of(text))
        return code

    def _number(self, text: str) -> int:
        """Different numbers for nodes whose numbers are written differently."""
        if text.isascii() and len(text) <= _DIGITS and str(int(text)) == text:
            return int(text)
        return -1 - self.odd_numbers.setdefault(text, len(self.odd_numbers))

    def _inputs(self, step: Int, form: Int, forms: list[Form]) -> tuple[Int, list[list[list[Any] | None]]]:
        """For each run a code of what it was given: the tensors that were told last in its step, under these names."""
        made_step, output, kind = (column.array() for column in self.made)
        steps, in_step = np.unique(made_step, return_inverse=True)
        order = np.argsort(in_step * len(self.outputs) + output, kind="stable")
        keys = (in_step * len(self.outputs) + output)[order]
        last = np.append(keys[1:] != keys[:-1], True)[: len(keys)]
        keys, kind = np.append(keys[last], NONE), np.append(kind[order][last], NONE)
        of = np.searchsorted(steps, step)
        of[np.append(steps, 0)[of] != step] = NONE
        of[of == len(steps)] = NONE
        told = [[dtype_of(dtype or "INVALID"), shape(sizes)] for dtype, sizes in self.kinds]
        given, inputs = np.zeros(len(step), np.int64), list[list[list[Any] | None]]()
        by_form = np.argsort(form, kind="stable")
        ends = np.cumsum(np.bincount(form, minlength=len(forms))).tolist()
        for one, first, end in zip(forms, [0, *ends], ends, strict=False):
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


def _add(
    columns: list[Growing], at: Int, values: list[Int], others: list[tuple[int, tuple[int, ...]]]
) -> None:
    """Puts rows down: those at these places, ascending, and the others among them."""
    if others:
        between = np.searchsorted(at, [place for place, _ in others])
        more = zip(*(row for _, row in others), strict=True)
        values = [np.insert(old, between, new) for old, new in zip(values, more, strict=True)]
    for column, some in zip(columns, values, strict=True):
        column.add(some)


def _ends(kind: Int, tid: Int, t: Int, step: Int, number: Int) -> Int:
    """When the node ended that each of these tells the begin of, NONE where nobody saw it.

    A node mostly runs once in a step, so that its begin and its end follow each other. Those of a loop may overlap:
    there an end belongs to what the thread began last, and one on any thread to what began first.
    """
    ends = np.full(len(kind), NONE, np.int64)
    order = np.lexsort((number, step))
    goes_on = _as_before(step[order]) & _as_before(number[order])
    kind, same = kind[order], _as_before(tid[order])
    begins = kind == BEGUN
    open_ = np.append(False, begins[:-1])[: len(kind)] & goes_on
    plain = np.where(begins, ~open_, open_ & (same | (kind == ENDED_ELSEWHERE)))
    group = np.cumsum(~goes_on) - 1
    tangled = np.zeros(len(kind), np.bool_)
    tangled[group[~plain]] = True
    tangled = tangled[group]
    ended = np.flatnonzero(~begins & ~tangled)
    ends[order[ended - 1]] = t[order[ended]]
    waiting: list[int] = []
    for at in np.flatnonzero(tangled).tolist():
        row = int(order[at])
        if not goes_on[at]:
            waiting = []
        if begins[at]:
            waiting.append(row)
            continue
        rows = waiting
        if kind[at] == ENDED:
            rows = [one for one in waiting if tid[one] == tid[row]][-1:]
        if rows:
            ends[rows[0]] = t[row]
            waiting.remove(rows[0])
    return ends


def _as_before(values: Int) -> npt.NDArray[np.bool_]:
    """Which of these are the same as the one before."""
    return np.append(False, values[1:] == values[:-1])[: len(values)]


def _told_apart(rows: Int) -> tuple[Int, list[list[int]]]:
    """The number of each of these rows, and the different ones."""
    if not rows.shape[1]:
        return np.zeros(len(rows), np.int64), [[]]
    kinds, number = np.unique(rows, axis=0, return_inverse=True)
    return np.asarray(number, np.int64).reshape(-1), kinds.tolist()


def _whole(text: str) -> bool:
    """Whether this is a number that a record holds."""
    return text.isdecimal() and len(text) <= _DIGITS
