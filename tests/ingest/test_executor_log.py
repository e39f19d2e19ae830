"""What TensorFlow's executors log: each run of a node with its begin and end, whatever it is called and given."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ingest.blocks import in_blocks
from tftrace.ingest import executor_forms, executor_log
from tftrace.ingest.executor_lines import lines_in
from tftrace.ingest.executor_log import NodeRun, StepRun, parse, parse_lines

DEVICE = "/job:localhost/replica:0/task:0/device:CPU:0"
BEGUN = (
    '{{node Conv2D}} = _MklNativeConv2D[T=DT_FLOAT, _kernel="MklNameChangeOp", data_format="NHWC", '
    'dilations=[1, 1, 1, 1], explicit_paddings=[], padding="SAME", use_cudnn_on_gpu=true](_arg_x_0_0, ones:1, ^before) '
    f"device: {DEVICE}"
)


def lines(*rows: tuple[int, int, str]) -> bytes:
    """Rows of (thread, time, message) as the native library writes them, each padded to whole blocks."""
    return in_blocks(*(f"{tid} {t} executor.cc:1] {message}\n".encode() for tid, t, message in rows))


def test_a_run_of_a_node_with_its_attributes_and_the_tensors_it_was_given() -> None:
    tensor = (
        "tensor { dtype: DT_FLOAT shape { dim { size: 2 } dim { size: 16 } } allocation_description { } } }"
    )
    log = parse(
        lines(
            (7, 5, f'__LOG_MEMORY__ MemoryLogTensorOutput {{ step_id: 3 kernel_name: "_arg_x_0_0" {tensor}'),
            (7, 10, f"Process node: 8 step 3 {BEGUN}"),
            (7, 30, f"Synchronous kernel done: 8 step 3 {BEGUN}"),
        )
    )
    attrs = {
        "T": "float32", "data_format": "NHWC", "dilations": [1, 1, 1, 1], "explicit_paddings": [], "padding": "SAME",
        "use_cudnn_on_gpu": True,
    }  # fmt: skip
    inputs: list[list[Any] | None] = [["float32", [2, 16]], None]
    assert list(log.nodes) == [NodeRun(3, "Conv2D", "_MklNativeConv2D", attrs, inputs, DEVICE, 7, 10, 30)]
    assert log.other == 0


def test_the_end_belongs_to_the_thread_that_began() -> None:
    """A node of a loop runs several times in one step, on several threads."""
    log = parse(
        lines(
            (1, 10, f"Process node: 8 step 3 {BEGUN}"),
            (2, 11, f"Process node: 8 step 3 {BEGUN}"),
            (1, 20, f"Synchronous kernel done: 8 step 3 {BEGUN}"),
            (2, 30, f"Synchronous kernel done: 8 step 3 {BEGUN}"),
            (1, 40, f"Process node: 9 step 3 {BEGUN}"),
            (5, 50, f"Async kernel done: 9 step 3 {BEGUN}"),
            (1, 60, f"Process node: 9 step 3 {BEGUN}"),
        )
    )
    assert [(n.tid, n.start, n.end) for n in log.nodes] == [
        (1, 10, 20), (2, 11, 30), (1, 40, 50), (1, 60, None),
    ]  # fmt: skip


def test_a_word_that_forbids_parsing_is_passed_over() -> None:
    """As TensorFlow 2.21 words its messages."""
    head = "I0000 00:00:1795706613.351309   30841 log_memory.cc:34] __LOG_MEMORY__ MemoryLogStep"
    line = f'7 5 {head} {{ goo.gle/debugproto   step_id: 1 handle: "w:0->convolved:0//0/;0" }}\n'
    assert parse(line.encode()).steps == [StepRun(1, 7, 5, ["convolved:0"])]


def test_runs_of_graphs_and_methods_of_executors() -> None:
    log = parse(
        lines(
            (1, 5, '__LOG_MEMORY__ MemoryLogStep { step_id: 4 handle: "x:0,y:0->Identity:0,b:1//0/;0" }'),
            (2, 6, "TensorFlowExecutor::CreateCall"),
            (2, 7, "something else, said by a version to come"),
        )
    )
    assert log.steps == [StepRun(4, 1, 5, ["Identity:0", "b:1"])]
    assert [(m.tid, m.t, m.name) for m in log.methods] == [(2, 6, "TensorFlowExecutor::CreateCall")]
    assert log.other == 1


def test_a_line_that_is_cut_is_counted_and_nothing_else_is_lost() -> None:
    whole = lines((1, 10, f"Process node: 8 step 3 {BEGUN}"))
    log = parse(whole + lines((1, 20, f"Synchronous kernel done: 8 step 3 {BEGUN}"))[:40])
    assert [(n.start, n.end) for n in log.nodes] == [(10, None)]
    assert log.other == 1


names = st.from_regex(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]{0,20}", fullmatch=True).filter(lambda n: "}" not in n)
values = st.one_of(
    st.integers(-(2**40), 2**40),
    st.booleans(),
    st.from_regex(r"[A-Za-z0-9 :/.,()]{0,12}", fullmatch=True),
    st.lists(st.integers(-9, 9), max_size=4),
)
attributes = st.dictionaries(st.from_regex(r"[A-Za-z]\w{0,8}", fullmatch=True), values, max_size=5)


def worded(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    return f"[{', '.join(map(str, value))}]" if isinstance(value, list) else str(value)


@settings(deadline=None)
@given(
    name=names, kernel=st.from_regex(r"_?[A-Z]\w{0,20}", fullmatch=True), attrs=attributes,
    inputs=st.lists(names, max_size=4), step=st.integers(-9, 10**12), times=st.tuples(*[st.integers(0, 10**15)] * 2),
    function=st.none() | names,
)  # fmt: skip
def test_what_is_worded_is_read(
    name: str, kernel: str, attrs: dict[str, Any], inputs: list[str], step: int, times: tuple[int, int],
    function: str | None,
) -> None:  # fmt: skip
    told = ", ".join(f"{key}={worded(value)}" for key, value in attrs.items())
    head = "" if function is None else "{{function_node " + function + "}}"
    run = f"{head}{{{{node {name}}}}} = {kernel}[{told}]({', '.join(inputs)}) device: {DEVICE}"
    log = parse(
        lines(
            (1, times[0], f"Process node: 5 step {step} {run}"),
            (1, times[1], f"Synchronous kernel done: 5 step {step} {run}"),
        )
    )
    (node,) = log.nodes
    assert (node.step, node.node, node.kernel, node.start, node.end) == (step, name, kernel, *times)
    assert node.attrs == attrs
    assert node.inputs == [None] * len(inputs)


RUN = re.compile(
    r"(Process node|Synchronous kernel done|Async kernel done): (\d+) step (-?\d+) (?:\{\{function_node [^}]*\}\})?"
    r"\{\{node ([^}]*)\}\} = ([\w>]+)\[(.*)\]\((.*?)\)( is dead)? device: (\S*)"
)
TENSOR = re.compile(
    r'__LOG_MEMORY__ MemoryLogTensorOutput \{ step_id: (-?\d+) kernel_name: "([^"]*)" (?:index: (\d+) )?'
    r"tensor \{ (?:dtype: DT_(\w+) )?shape \{ ((?:dim \{ (?:size: -?\d+ )?\} )*)\}"
)


def one_by_one(data: bytes) -> tuple[list[NodeRun], int]:
    """The straightforward reader of runs and of the tensors they were given, and how many lines are others."""
    nodes: list[NodeRun] = []
    open_: dict[tuple[int, str], list[int]] = {}
    made: dict[tuple[int, str, int], list[Any]] = {}
    wanted: list[list[tuple[str, int]]] = []
    other = 0
    for line in data.replace(b"\0", b"").split(b"\n"):
        parts = line.decode("utf-8", "replace").split(" ", 2)
        if len(parts) != 3 or not parts[0].isdigit() or not parts[1].isdigit():
            other += bool(line)
            continue
        tid, t = int(parts[0]), int(parts[1])
        message = parts[2].partition("] ")[2]
        if run := RUN.match(message):
            what, number, step, name, kernel, attrs, inputs, _, device = run.groups()
            key = (int(step), number)
            if what == "Process node":
                open_.setdefault(key, []).append(len(nodes))
                names = [part.strip() for part in inputs.split(",")]
                told = [n.partition(":") for n in names if n and not n.startswith("^")]
                wanted.append([(n, int(index) if index.isdigit() else 0) for n, _, index in told])
                nodes.append(
                    NodeRun(key[0], name, kernel, executor_forms.attributes(attrs), [], device, tid, t, None)
                )
                continue
            rows = open_.get(key, [])
            if what.startswith("Sync"):
                rows = [row for row in rows if nodes[row].tid == tid][-1:]
            if rows:
                ended = rows[0]
                open_[key].remove(ended)
                nodes[ended] = nodes[ended]._replace(end=t)
        elif output := TENSOR.match(message):
            step, name, index, dtype, sizes = output.groups()
            shape = [int(size or 0) for size in re.findall(r"dim \{ (?:size: (-?\d+) )?\}", sizes)]
            dtype = {"FLOAT": "float32"}.get(dtype, (dtype or "INVALID").lower())
            made[int(step), name, int(index or 0)] = [dtype, shape]
        else:
            other += 1
    for row, of in enumerate(wanted):
        nodes[row].inputs.extend(made.get((nodes[row].step, *name)) for name in of)
    return nodes, other


STEP = st.sampled_from([-1, 0, 1, 2, 10**17])
NODE = st.sampled_from(["a", "b", "c/d", "_arg"])
MESSAGES = st.one_of(
    st.builds(
        lambda what, number, step, node, attrs, inputs, cut: (
            f"{what}: {number} step {step} {{{{node {node}}}}} = Op[{attrs}]({', '.join(inputs)}) device: {DEVICE}"
        )[:cut],
        st.sampled_from(["Process node", "Process node", "Synchronous kernel done", "Async kernel done"]),
        st.integers(1, 2), STEP, NODE, st.sampled_from(["", "T=DT_FLOAT", "T=DT_HALF, n=1"]),
        st.lists(st.sampled_from(["a", "a:1", "b:0", "c/d:x", "^b", "never"]), max_size=3),
        st.sampled_from([None, None, 60]),
    ),
    st.builds(
        lambda step, node, index, dtype, sizes: (
            f'__LOG_MEMORY__ MemoryLogTensorOutput {{ step_id: {step} kernel_name: "{node}" {index}'
            f"tensor {{ {dtype}shape {{ "
            + "".join(f"dim {{ size: {n} }} " if n else "dim { } " for n in sizes) + "}"
        ),
        STEP, NODE, st.sampled_from(["", "index: 1 "]), st.sampled_from(["", "dtype: DT_FLOAT ", "dtype: DT_INT8 "]),
        st.lists(st.integers(-1, 3), max_size=2),
    ),
    st.sampled_from(["", "else", "\0\0", "\xff"]),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(0, 99), MESSAGES), max_size=25), st.integers(0, 60),
    st.sampled_from([1, 100, 1000, 1 << 21]),
)  # fmt: skip
def test_columns_hold_what_each_line_says(rows: list[tuple[int, int, str]], cut: int, piece: int) -> None:
    data = lines(*rows)
    data = data[: len(data) - cut] if cut < len(data) else data
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(executor_log, "PIECE", piece)
        log = parse(data)
        assert (list(log.nodes), log.other + len(log.methods)) == one_by_one(data)
        again = parse_lines(line.lstrip(b"\0") for line in data.split(b"\n"))
        assert (list(again.nodes), again.other, again.methods) == (list(log.nodes), log.other, log.methods)


def test_lines_worded_as_ever_are_read_together() -> None:
    """The test above would hold of a reader that takes every line by itself, too."""
    tensor = 'kernel_name: "a" tensor { dtype: DT_FLOAT shape { } allocation_description { ptr: %d } } }'
    head = "__LOG_MEMORY__ MemoryLogTensorOutput { goo.gle/debugproto   step_id: 3 "
    data = lines(
        (7, 5, head + tensor % 1), (7, 10, f"Process node: 8 step 3 {BEGUN}"), (7, 11, head + tensor % 2),
        (7, 30, f"Synchronous kernel done: 8 step 3 {BEGUN}"), (7, 40, f"Process node: 08 step 3 {BEGUN}"),
        (7, 50, "TensorFlowExecutor::CreateCall"),
    )  # fmt: skip
    found = lines_in(data[: data.rfind(b"\n") + 1], 0)
    assert (found.runs.row.tolist(), found.runs.step.tolist(), len(found.runs.texts)) == ([1, 3], [3, 3], 1)
    assert (found.tensors.row.tolist(), len(found.tensors.heads), len(found.tensors.tails)) == ([0, 2], 1, 1)
    assert [row for row, _ in found.odd] == [4, 5]


def test_what_repeats_is_kept_once() -> None:
    begun = [(1, 10 + n, f"Process node: 8 step {n} {BEGUN}") for n in range(50)]
    log = parse(lines(*begun))
    assert (len(log.nodes), len(log.nodes.forms), log.nodes.inputs) == (50, 1, [[None, None]])
