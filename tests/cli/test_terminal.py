"""What the terminal views draw, whole, at the widths people have."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tests.cli import documents
from tftrace.views.terminal import algorithms, chain, closing, failures, listing, summary
from tftrace.views.terminal.wording import SYNTHETIC, attributes, inputs, micros, plain, share_bar, size


def drawn(draw: Callable[[Console], None], width: int = 80, **more: Any) -> str:
    """What `draw` writes, without the blanks at the ends of lines."""
    out = io.StringIO()
    draw(Console(file=out, width=width, markup=False, emoji=False, highlight=False, **more))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


WHY = """\
conv2d in train-20261124-044012: 20 executions in 1 group

1. Conv2D  20 executions, 9.81 ms, 491 us each
eager  /device:CPU:0  8.10 ms more on worker threads
[8,32,32,3] float32, [3,3,3,16] float32
├── python            9.81 ms  measured   train.py:12
│                                         y = tf.nn.conv2d(x, w, 1, 'SAME')
├── api               9.80 ms  measured   tf.nn.conv2d (python stack)
├── gen_op            9.79 ms  measured   gen_nn_ops.conv2d (python stack)
│                                         gen_nn_ops.py:1234
├── runtime           9.70 ms  measured   TFE_Py_FastPathExecute > EagerExecute
│                                         > EagerLocalExecute: Conv2D >
│                                         KernelAndDeviceFunc::Run (python
│                                         stack)
├── kernel            9.00 ms  measured   Conv2D:MklConvOp (range id)
├── stream_executor         -  unobserved it runs on GPU devices only, and this
│                                         run used none
├── library           8.70 ms  joined     oneDNN v3.7.0 convolution (native
│                                         stack)
│                                         brg_conv_fwd:avx512_core
│                                         convolution_direct
│                                         18 measured, 2 joined
│   ├── 2 kinds of library call
│   │   ├──      20   8.00 ms  convolution  brg_conv_fwd:avx512_core
│   │   └──      20    700 us  reorder  jit:uni
│   └── C++ from Python down to the library, 10 functions
│       ├── TFE_Py_FastPathExecute_C
│       ├── tensorflow::EagerExecute
│       ├── tensorflow::EagerKernelExecute
│       ├── tensorflow::KernelAndDeviceFunc::Run
│       ├── tensorflow::(anonymous namespace)::SingleThreadedExecutorImpl::Run
│       ├── tensorflow::ThreadPoolDevice::Compute
│       ├── tensorflow::MklConvOp::Compute
│       ├── tensorflow::MklConvFwdPrimitive::Execute
│       ├── dnnl_primitive_execute
│       └── dnnl::impl::primitive_execute
└── device            8.10 ms  inferred   convolution (overlap)

measured: same native stack or exact id
joined: same thread, contained in time
inferred: by name, order or shape"""


def test_why_draws_the_eight_layers_and_the_functions_between() -> None:
    assert drawn(lambda c: chain.draw(c, documents.why())) == WHY


def test_why_names_the_line_that_ran_the_graph_and_does_not_repeat_a_path() -> None:
    document = documents.why(documents.eager_group(), documents.function_group())
    text = drawn(lambda c: chain.draw(c, document), 120)
    second = text[text.index("\n2. ") :]
    assert "run by train.py:41  step(x)" in second
    assert "TFE_Py_Execute > FunctionRun > ExecutorState::Process" in second
    assert "C++: the same 10 functions as in 1." in second
    assert text.count("TFE_Py_FastPathExecute_C") == 1
    assert re.search(
        r"python +-  measured", second
    )  # made when the graph was traced: no time of the execution


def test_why_says_which_line_made_the_graph_and_which_session_ran_it() -> None:
    ran = {"file": "/home/me/train.py", "line": 41, "code": "    step(x)"}
    opened = {"file": "/home/me/train.py", "line": 30, "code": "session = Session()"}
    group = {
        **documents.function_group(),
        "caller": ran,
        "made_in": {
            "graph": "__inference_step_12",
            "graph_id": 3,
            "kind": "function",
            "python": ran,
            "api": None,
        },
        "sessions": [
            {"session_id": n, "class": "Session", "graph_id": 3, "python": place, "api": None, "count": 9 - n}
            for n, place in ((1, opened), (2, None))
        ],
    }
    text = drawn(lambda c: chain.draw(c, documents.why(group)), 120)
    # the source of the line that made it stands one line above
    assert re.search(
        r"run by train\.py:41  step\(x\)\n.* in graph 3 \(__inference_step_12\), made at train\.py:41\n", text
    )
    assert "8 executions by session 1, opened at train.py:30  session = Session()\n" in text
    assert "7 executions by session 2, opened by no line of yours\n" in text
    group["made_in"] = {**group["made_in"], "kind": "graph", "graph": "graph 1", "python": opened}
    text = drawn(lambda c: chain.draw(c, documents.why(group)), 120)
    assert "in graph 3, made at train.py:30  session = Session()\n" in text
    group |= {"made_in": {**group["made_in"], "python": None}, "mode": "native"}
    text = drawn(lambda c: chain.draw(c, documents.why(group)), 120)
    assert "in graph 3, made in a process without Python\n" in text


SUMMARY = """\
layer            events    total     self  observed?
────────────────────────────────────────────────────────────────────────────────
python              120  12.3 ms  1.00 ms  yes
api                 120  11.3 ms  1.00 ms  yes
gen_op              120  10.3 ms  1.00 ms  yes
runtime             120  9.35 ms  1.00 ms  yes
kernel              120  8.35 ms  1.00 ms  partly: seen in 20 of 40 executions;
                                           tf_profiler partly: 300 op calls
                                           outside
stream_executor       0        -        -  no: it runs on GPU devices only, and
                                           this run used none
library             120  6.35 ms  1.00 ms  yes
device              120  5.35 ms  1.00 ms  yes

op                   count    total     self  warm up  share
───────────────────────────────────────────────────────────────────
Conv2D                  20  9.81 ms  9.81 ms  3.00 ms  ███████████▎
Relu                    20   512 us   512 us   100 us  ▋
__inference_step_12      2  1.51 ms   200 us        -  ▎
lost: tf_profiler: 300 op calls outside its windows"""


def test_summary_draws_layers_rows_and_losses() -> None:
    assert drawn(lambda c: summary.draw(c, documents.summary(), 30)) == SUMMARY


def test_summary_says_how_many_rows_it_kept_back() -> None:
    text = drawn(lambda c: summary.draw(c, documents.summary(), 1))
    assert "and 2 rows more; --limit shows them" in text
    assert "Relu" not in text


CLOSING = """\
tftrace: traces/train  (12.3 s, exit 0)
  ran       42 executions of 3 ops, 10.5 ms; most in Conv2D 93%, Relu 5%, __inf…
  observed  python, api, gen_op, runtime, kernel (partly), library, device
  library   oneDNN: 1 problem, solved by brg_conv_fwd:avx512_core
  not seen  stream_executor: it runs on GPU devices only, and this run used none
  lost      tf_profiler: 300 op calls outside its windows
  next      tftrace why conv2d traces/train"""


def test_closing_is_seven_lines_of_eighty_columns() -> None:
    run = {"directory": Path("traces/train"), "wall_s": 12.34, "exit_status": 0, "op": "Conv2D"}
    text = drawn(lambda c: closing.draw(c, run, documents.summary(), documents.algorithms(), {"probes": []}))
    assert text == CLOSING


def test_a_failed_run_is_told_with_the_lines_behind_it() -> None:
    text = drawn(lambda c: failures.draw(c, [documents.failure()], 30))
    assert text.strip().splitlines() == [
        "failed: ValueError by Tensor.eval at train.py:23: another graph",
        "  called at train.py:23 by tflearn.DNN",
        "      model.evaluate(x, y)",
        "  session 1 was opened at train.py:19 by tflearn.DNN",
        "      model = tflearn.DNN(net)",
        "  its graph, graph 2, was made at train.py:12 by tflearn.DNN",
        "      tf.Graph()",
        "  tensor Assign_1:0 was made at train.py:5 by tflearn.DNN",
        "      import tflearn",
        "  its graph, graph 1, was made at train.py:11 by tflearn.DNN",
        "      tf.Graph()",
    ]


def test_after_a_failed_run_the_graphs_are_what_to_ask_about() -> None:
    run = {"directory": Path("traces/train"), "wall_s": 12.34, "exit_status": 1, "op": "Conv2D"}
    document = documents.summary() | {"failures": [documents.failure()]}
    text = drawn(lambda c: closing.draw(c, run, document, documents.algorithms(), {"probes": []}))
    assert text.splitlines()[-2:] == [
        "  failed    ValueError by Tensor.eval at train.py:23: another graph",
        "  next      tftrace summary --by graph traces/train",
    ]


def test_algorithms_marks_the_chosen_one() -> None:
    text = drawn(lambda c: algorithms.draw(c, documents.algorithms()), 120)
    rows = [line for line in text.splitlines() if "convolution_" in line]
    assert [line[0] for line in rows] == ["*", " "]
    assert "strides [1,1]" in text
    assert "401 us" in rows[0] or "402 us" in rows[0]


def test_listing_keeps_whole_names_and_drops_columns_instead() -> None:
    wide, narrow = (
        drawn(lambda c: listing.draw(c, documents.listing(), Path("traces")), w) for w in (120, 80)
    )
    for text in (wide, narrow):
        assert "train-20261124-044012" in text
        assert "2026-11-24 04:40" in text
    assert "2.21.0" in wide
    assert "synthetic" in wide


def test_a_stand_in_gpu_is_named_wherever_its_times_are_shown() -> None:
    run = {"directory": Path("traces/train"), "wall_s": 12.34, "exit_status": 0, "op": "Conv2D"}
    made_up = {"synthetic": True}
    for draw in (
        lambda c: chain.draw(c, documents.why() | made_up),
        lambda c: summary.draw(c, documents.summary() | made_up, 30),
        lambda c: algorithms.draw(c, documents.algorithms() | made_up),
        lambda c: closing.draw(
            c, run, documents.summary() | made_up, documents.algorithms() | made_up, {"probes": []}
        ),
    ):
        assert SYNTHETIC in drawn(draw)


def test_listing_names_a_stand_in_and_what_is_wrong_with_the_trace() -> None:
    row = {**documents.listing()[0], "synthetic": True, "problem": "cut short"}
    assert "synthetic; cut short" in drawn(lambda c: listing.draw(c, [row], Path("traces")), 200)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_passes_the_edge(width: int) -> None:
    for draw in (
        lambda c: chain.draw(c, documents.why(documents.eager_group(), documents.function_group())),
        lambda c: summary.draw(c, documents.summary(), 30),
        lambda c: algorithms.draw(c, documents.algorithms()),
        lambda c: listing.draw(c, documents.listing(), Path("traces")),
    ):
        text = drawn(draw, width)
        assert max(len(line) for line in text.splitlines()) <= width


HOSTILE = "\x1b[31m[red]\u202egnp.exe\x00\r\n:smile:[/nope]"


def poisoned(value: Any) -> Any:
    """The document with a hostile text after each of its texts that is not one of a contract's words."""
    fixed = {
        "measured",
        "joined",
        "inferred",
        "native",
        "observed",
        "partly",
        "unobserved",
        "ok",
        "failed",
        "eager",
    }
    if isinstance(value, dict):
        return {k: v if k in ("layer",) else poisoned(v) for k, v in value.items()}
    if isinstance(value, list):
        return [poisoned(v) for v in value]
    return value + HOSTILE if isinstance(value, str) and value not in fixed else value


def test_hostile_names_are_spelled_out() -> None:
    for draw in (
        lambda c: chain.draw(c, poisoned(documents.why())),
        lambda c: summary.draw(c, poisoned(documents.summary()), 30),
        lambda c: algorithms.draw(c, poisoned(documents.algorithms())),
        lambda c: listing.draw(c, poisoned(documents.listing()), Path("traces")),
        lambda c: failures.draw(c, [poisoned(documents.failure())], 30),
    ):
        text = drawn(draw, 5000)
        assert not set("\x1b\u202e\x00\r") & set(text)
        assert r"\x1b[31m[red]\u202egnp.exe\x00\r\n:smile:[/nope]" in text


def test_colour_only_where_the_terminal_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = drawn(lambda c: chain.draw(c, documents.why()), force_terminal=True)
    assert "\x1b[32m" in coloured
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[32m" not in drawn(lambda c: chain.draw(c, documents.why()), force_terminal=True)


@given(st.text())
def test_plain_text_is_one_printable_line_and_keeps_what_is_printable(text: str) -> None:
    result = plain(text, limit=10_000)
    assert "\n" not in result
    assert not any(ord(c) < 32 or ord(c) == 127 for c in result)
    if text.isprintable():
        assert result == text


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (None, "-"),
        (0, "0.00 us"),
        (1.234, "1.23 us"),
        (99.96, "100 us"),
        (999.6, "1.00 ms"),
        (12_345, "12.3 ms"),
        (3.6e9, "3600 s"),
    ],
)
def test_times_have_three_digits_and_their_unit(us: float | None, text: str) -> None:
    assert micros(us) == text


def test_small_wordings() -> None:
    assert [size(n) for n in (None, 12, 1234, 5e6, 7e9)] == ["-", "12 B", "1.2 kB", "5.0 MB", "7.0 GB"]
    assert inputs("[[8, 32], null]", '["float32", "int32"]') == "[8,32] float32, [?] int32"
    assert inputs([[8, 32]], None) == "[8,32]"
    assert inputs("not json", None) == ""
    assert (
        attributes('{"strides": [1, 2], "padding": "SAME", "explicit_paddings": []}')
        == "strides [1,2]  padding SAME"
    )
    assert share_bar(0.5, 8, unicode=False).plain == "####"
    assert share_bar(2.0, 8, unicode=True).plain == "█" * 8
