"""TensorFlow's log: every head is counted, known messages are read by their text, candidates and winner are found."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tftrace.errors import InputError
from tftrace.ingest import tf_log, tf_tuning
from tftrace.ingest.hlo_conv import problem_of
from tftrace.ingest.tf_log import parse_log, parse_message
from tftrace.ingest.tf_log_messages import KINDS, engine_tag, microseconds
from tftrace.ingest.tf_tuning import tunings

HEAD = b"I0000 00:00:1795444437.616833   27639 gpu_utils.cc:378] "
COMMON = b"I0000 00:00:1795444437.612599   27639 cuda_stream.cc:240] Checking if stream 0x5650cee48480 is capturing\n"
ON_A_STREAM = b"I0000 00:00:1795444437.612599   27639 cuda_stream.cc:368] "
COUNTS = {  # known messages and others of each recorded log
    "tf_log/tf1x_vlog_excerpts.log": (2, 0),
    "tf_log/tf2.16_p100_cudnn8.9_conv_mismatch.log": (11, 0),
    "tf_log/tf_xla_conv_picker_excerpts.log": (6, 1),
    "tf_log/tf_xla_slow_alarm_a100_cudnn9.19.log": (3, 1),
    "tf_standin_gpu/vlog_cold.log": (18, 31),
    "tf_standin_gpu/vlog_fused.log": (16, 33),
    "tf_standin_gpu/vlog_grad.log": (49, 68),
    "tf_standin_gpu/vlog_half.log": (18, 32),
    "tf_standin_gpu/vlog_warm.log": (21, 32),
}


def test_head_tells_time_thread_and_place() -> None:
    entry = parse_message(
        HEAD + b"fastest algorithm: 1.5ms with algo ConvFwd_eng2_k2=1, workspace bytes 8192\n"
    )
    assert entry is not None
    assert (entry.severity, entry.start_ns, entry.tid) == ("I", 1795444437616833000, 27639)
    assert (entry.file, entry.source_line, entry.kind) == ("gpu_utils.cc", 378, "winner")
    assert entry.fields["time_us"] == 1500.0
    assert (entry.fields["algorithm"], entry.fields["workspace_bytes"]) == ("eng2_k2=1", 8192)


def test_head_before_abseil_is_local_time() -> None:
    log = parse_log(
        b"2026-06-04 18:06:30.935978: I external/xla/cuda_dnn.cc:473] Loaded cuDNN version 91900\n"
    )
    (entry,) = log.entries
    assert (entry.start_ns, entry.tid, entry.fields) == (1780596390935978000, None, {"version": 91900})
    assert log.local_time


def test_every_head_is_counted_and_continuations_belong_to_their_head() -> None:
    plan = HEAD + b"\nDo cudnn execution plan with plan tag: ConvFwd_eng1\nWorkspace size in bytes: 4096\n"
    log = parse_log(b"of the script\n" + COMMON + plan + COMMON)
    assert (len(log.entries), log.others, log.foreign, log.lines) == (1, 2, 1, 6)
    assert log.entries[0].number == 3
    assert log.entries[0].fields["workspace_bytes"] == 4096


def test_common_messages_are_of_no_kind() -> None:
    assert not any(k.phrase in COMMON for k in KINDS)
    assert parse_message(COMMON) is None


@pytest.mark.parametrize(
    ("text", "kind", "fields"),
    [
        (
            b"launching kernel: repeat_buffer_kernel; gdx: 8192 gdy: 2 gdz: 1 bdx: 256 bdy: 1 bdz: 1; "
            b"shared_mem_bytes: 64",
            "launch",
            {
                "kernel": "repeat_buffer_kernel", "grid_x": 8192, "grid_y": 2, "grid_z": 1,
                "block_x": 256, "block_y": 1, "block_z": 1, "shared_memory_bytes": 64,
            },
        ),
        (
            b"successfully enqueued async memcpy d2h of 4 bytes from 0x7f42 to 0x7ffe on stream 0x55ef",
            "copy",
            {"what": "memcpy d2h", "bytes": 4, "source": "0x7f42", "target": "0x7ffe", "stream": "0x55ef"},
        ),
        (
            b"successfully created stream 0x55ef for executor 0x55aa on thread",
            "stream",
            {"verb": "created", "stream": "0x55ef", "executor": "0x55aa"},
        ),
    ],
)  # fmt: skip
def test_what_a_stream_was_given_is_read(text: bytes, kind: str, fields: dict[str, object]) -> None:
    entry = parse_message(ON_A_STREAM + text + b"\n")
    assert entry is not None
    assert (entry.kind, entry.fields) == (kind, fields)


def test_a_cut_autotuning_log_is_counted() -> None:
    log = parse_log(
        HEAD + b"goo.gle/debugstr  \ninstr {\n  [t/tensorflow.ConvolutionProto] {\n    kind: FORW"
    )
    assert log.incomplete == 1
    assert tunings(log.entries) == []


def test_failed_candidates_and_an_omitted_engine_number() -> None:
    text = (
        HEAD
        + b"""goo.gle/debugonly
instr { [type.googleapis.com/tensorflow.ConvolutionProto] { kind: BACKWARD_DATA
  input { dimensions: 2 dimensions: 8 dimensions: 5 dimensions: 6 data_layout: kBatchYXDepth }
  filter { dimensions: 16 dimensions: 8 dimensions: 3 dimensions: 1 }
  output { dimensions: 2 dimensions: 16 dimensions: 5 dimensions: 6 }
  conv_desc { paddings: 1 paddings: 0 strides: 1 strides: 1 dilations: 1 dilations: 1 group_count: 1 } } }
results { scratch_bytes: 64 run_time { nanos: 1500 } algorithm { workspace_size { value: 64 } } }
results { failure { kind: REDZONE_MODIFIED msg: "out of bounds" } algorithm { algo_id: 3 } }
results { failure { msg: "not supported" } algorithm { algo_id: 4 tuning_knobs { key: 2 value: 7 } } }
"""
    )
    (tuning,) = tunings(parse_log(text).entries)
    assert tuning.problem["direction"] == "backprop_input"
    assert (tuning.problem["input"], tuning.problem["filter"]) == ([2, 5, 6, 8], [3, 1, 8, 16])
    assert tuning.problem["padding"] == [[1, 1], [0, 0]]
    found = [(c.algorithm, c.time_us, c.status, c.chosen) for c in tuning.candidates]
    assert found == [
        ("eng0", 1.5, "ok", False),
        ("eng3", None, "filtered", False),
        ("eng4_k2=7", None, "failed", False),
    ]


@pytest.mark.parametrize(
    ("text", "tag"), [("eng2{}", "eng2"), ("eng20{k2=3,k3=0}", "eng20_k2=3_k3=0"), ("1#TC", "1#TC")]
)
def test_engine_names(text: str, tag: str) -> None:
    assert engine_tag(text) == tag


def test_durations() -> None:
    assert [microseconds(t) for t in ("1.077653943s", "200us", "1m", "2ms3us")] == [
        1077653.943,
        200.0,
        None,
        2003.0,
    ]


def test_problem_of_an_xla_convolution() -> None:
    hlo = (
        "(f32[128,256,28,28]{3,2,1,0}, u8[0]{0}) custom-call(f32[128,256,14,14]{3,2,1,0}, f32[3,3,256,256]{1,0,2,3}), "
        "window={size=3x3 stride=2x2 pad=1_1x1_1}, dim_labels=bf01_01io->bf01, "
        'custom_call_target="__cudnn$convBackwardInput"'
    )
    problem = problem_of(hlo)
    assert problem is not None
    assert (problem["op"], problem["strides"], problem["layout"]) == ("Conv2DBackpropInput", [2, 2], "NCHW")
    assert (problem["input"], problem["output"]) == ([128, 256, 28, 28], [128, 256, 14, 14])
    assert problem_of("%fusion = f32[2,3] fusion(%arg)") is None


@given(st.binary(max_size=300), st.sampled_from([k.phrase for k in KINDS]))
def test_hostile_text_is_read_without_error(noise: bytes, phrase: bytes) -> None:
    log = parse_log(noise + b"\n" + HEAD + phrase + noise + b"\n" + HEAD + noise)
    assert len(log.entries) + log.others >= 1
    tunings(log.entries)


@pytest.mark.parametrize("name", COUNTS)
def test_recorded_logs_are_accounted_for(shared_data: Path, name: str) -> None:
    log = tf_log.read(shared_data / name)
    assert (len(log.entries), log.others) == COUNTS[name]
    assert (log.foreign, log.incomplete, log.cut) == (0, 0, None)


def test_recorded_gradient_has_three_tunings(shared_data: Path) -> None:
    log = tf_log.read(shared_data / "tf_standin_gpu" / "vlog_grad.log")
    found = tunings(log.entries)
    assert [t.problem["direction"] for t in found] == ["forward", "backprop_input", "backprop_filter"]
    for tuning in found:
        assert (tuning.version, tuning.problem["dtype"]) == ("9.3.0", "float32")
        assert [c.algorithm for c in tuning.candidates if c.chosen] == ["eng2"]
        assert [c.workspace_bytes for c in tuning.candidates] == [4096, 8192, 12288]
    assert Counter(e.kind for e in log.entries)["plan"] == 13


def test_recorded_xla_tuning_of_a_convolution(shared_data: Path) -> None:
    (tuning,) = tunings(tf_log.read(shared_data / "tf_standin_gpu" / "vlog_xla.log").entries)
    assert (tuning.source, tuning.problem["fused"]) == ("xla_autotune", ["BIAS", "RELU"])
    assert [(c.algorithm, c.chosen) for c in tuning.candidates] == [
        ("eng1", False),
        ("eng2", True),
        ("eng3", False),
    ]


@pytest.mark.parametrize("name", [*COUNTS, "tf_standin_gpu/vlog_xla.log"])
def test_messages_that_tell_of_tuning_are_all_it_takes(shared_data: Path, name: str) -> None:
    entries = tf_log.read(shared_data / name).entries
    telling = [entry for entry in entries if entry.kind in tf_tuning.KINDS]
    found, whole = tunings(telling), tunings(entries)
    assert [replace(t, entry=None) for t in found] == [replace(t, entry=None) for t in whole]
    for one, same in zip(found, whole, strict=True):
        assert one.entry is not None
        assert same.entry is not None
        assert telling[one.entry] is entries[same.entry]


def line_by_line(data: bytes) -> tuple[list[tuple[int, str, str, bool]], int, int, int]:
    """The straightforward reader: known messages, other heads, lines before the first, and lines."""
    looks = re.compile(
        rb"[IWEF]\d{4} |\d.{2}\d-.{2}-.\d |WARNING: All log messages before absl::InitializeLog\(\)"
    )
    lines = data.split(b"\n")
    lines = [line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
    starts = np.cumsum([0, *map(len, lines)]).tolist()
    heads = [
        n for n, line in enumerate(lines) if looks.match(line) and starts[n] <= len(data) - 11
    ]  # fmt: skip
    found = []
    for n, end in zip(heads, [*heads, len(lines)][1:], strict=True):
        message = lines[n].partition(b"]")[2][1:9]
        entry = None if message in (b"launchin", b"successf") else parse_message(b"".join(lines[n:end]))
        if entry is not None:
            found.append((n + 1, entry.kind, entry.text, entry.cut))
    return found, len(heads) - len(found), heads[0] if heads else len(lines), len(lines)


LINES = st.sampled_from(
    [COMMON, ON_A_STREAM + b"launching kernel: k; gdx: 1\n", HEAD + b"Loaded cuDNN version 91900\n", b"I0000 \n", b"\n",
     HEAD + b"\nDo cudnn execution plan with plan tag: ConvFwd_eng1\n", b"Workspace size in bytes: 4096\n",
     b"x" * 300 + b"\n", b"2026-06-04 18:06:30.935978: I a.cc:473] Loaded cuDNN version 91900\n", b"2026-06-04 x\n",
     b"I0000 ab\n", b"WARNING: All log messages before absl::InitializeLog() is called\n", b"WARNING: other\n",
     HEAD + b"\xff\xfe\n"]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(LINES, min_size=1, max_size=12), st.integers(0, 12), st.integers(1, 400))
def test_messages_are_read_alike_in_pieces_of_any_size(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], cut: int, piece: int
) -> None:
    data = b"".join(lines)
    data = data[: max(len(data) - cut, 1)]
    path = tmp_path_factory.getbasetemp() / "pieces.log"
    path.write_bytes(data)
    before = parse_log(data, path)
    told = [(e.number, e.kind, e.text, e.cut) for e in before.entries]
    assert (told, before.others, before.foreign, before.lines) == line_by_line(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tf_log, "PIECE", piece)
        try:
            found = tf_log.read(path)
        except InputError:
            assert not before.entries
            assert not before.others
        else:
            assert found == before
