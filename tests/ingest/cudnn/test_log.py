"""cuDNN's API log in every form there is, whole, cut and mixed."""

from __future__ import annotations

import bz2
import gzip
import lzma
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tftrace.errors import InputError
from tftrace.ingest.cudnn import log as cudnn_log
from tftrace.ingest.cudnn.arguments import as_object, find, parse_arguments
from tftrace.ingest.cudnn.log import parse_log
from tftrace.ingest.cudnn.problem import meaning, tag
from tftrace.ingest.cudnn.records import CudnnLog
from tftrace.ingest.recorded_file import HEAD, read_head

ENTRY = b"""
I! CuDNN (v92800 42) function cudnnBackendFinalize() called:
i!     descriptor: type=CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR:
i!         engine_id: type=int; val=28;
i!         knobDesc: type=cudnnBackendDescriptor_t:
i!             CUDNN_KNOB_TYPE_TILE_SIZE: type=int; val=3;
i!             CUDNN_KNOB_TYPE_USE_TEX: type=int; val=0;
i!             FUTURE_FIELD: type=novel_t; val=17;
i! Time: 2026-11-23T14:37:12.106945 (0d+1h+0m+1s since start)
i! Process=28210; Thread=28229; GPU=0; Handle=0x5647299ed0f0; StreamId=(nil) (defaultStream).


"""
STATUS = b"""I! CuDNN (v92800 42) function cudnnBackendFinalize() called:
i!     status: type=cudnnStatus_t; val=CUDNN_STATUS_NOT_SUPPORTED (3000);
i! Time: 2026-11-23T14:37:12.206945 (0d+1h+0m+1s since start)
i! Process=28210; Thread=28229; GPU=NULL; Handle=NULL; StreamId=NULL.


"""
WARNING = b"""W! CuDNN (v92800 42) function cudnnBackendFinalize() called:
w!     Info: Traceback contains 2 message(s)
w!         Warning: CUDNN_STATUS_NOT_SUPPORTED; Reason: no search results (stt=1)
 at: 0 == newResults

w!         Warning: CUDNN_STATUS_NOT_SUPPORTED; Reason: finalize_internal()
w! Time: 2026-11-23T14:37:12.206946 (0d+1h+0m+1s since start)
w! Process=28210; Thread=28229; GPU=NULL; Handle=NULL; StreamId=NULL.

"""
BARE = b"""cuDNN (v90000) function cudnnCreate() called:
    handle: location=host; addr=0x7fb69b97f970;
Time: 2024-01-21T14:14:21.366171 (0d+0h+1m+5s since start)
Process=7; Thread=8; GPU=NULL; Handle=NULL; StreamId=NULL.
"""


def functions(log: CudnnLog) -> list[str | None]:
    return [log.functions[i] if i >= 0 else None for i in log.function.tolist()]


def test_a_record_tells_its_function_time_place_and_arguments() -> None:
    log = parse_log(ENTRY + STATUS + WARNING)
    assert functions(log) == ["cudnnBackendFinalize"] * 3
    assert log.level.tolist() == [0, 0, 1]
    assert log.complete.all()
    assert log.versions == [(92800, 42)]
    assert np.datetime64(int(log.time_ns[0]), "ns") == np.datetime64("2026-11-23T14:37:12.106945")
    assert log.since_start_s.tolist() == [3601] * 3
    context = log.contexts[int(log.context[0])]
    assert (context.process, context.thread, context.gpu) == (28210, 28229, 0)
    assert (context.handle, context.stream) == ("0x5647299ed0f0", "(nil) (defaultStream)")
    assert log.contexts[int(log.context[1])].handle is None
    assert log.other == []


def test_unknown_fields_are_kept_and_engine_and_knobs_are_understood() -> None:
    log = parse_log(ENTRY)
    tree = log.arguments(int(log.body[0]))
    future = find(tree, "descriptor", "knobDesc", "FUTURE_FIELD")
    assert future is not None
    assert (future.kind, future.value) == ("novel_t", 17)
    assert as_object(tree)["descriptor"]["knobDesc"]["FUTURE_FIELD"] == 17
    what = meaning("cudnnBackendFinalize", tree)
    assert (what.engine, what.algorithm) == (28, "eng28_k2=3_k3=0_FUTURE_FIELD=17")


def test_a_blank_or_unprefixed_line_does_not_end_a_record() -> None:
    log = parse_log(WARNING + ENTRY)
    assert len(log) == 2
    messages = meaning(None, log.arguments(int(log.body[0]))).messages
    assert messages == (
        "CUDNN_STATUS_NOT_SUPPORTED; Reason: no search results (stt=1)\n at: 0 == newResults",
        "CUDNN_STATUS_NOT_SUPPORTED; Reason: finalize_internal()",
    )


def test_records_without_prefix_have_no_level() -> None:
    log = parse_log(BARE + BARE)
    assert functions(log) == ["cudnnCreate"] * 2
    assert log.level.tolist() == [-1, -1]
    assert log.complete.all()
    assert as_object(log.arguments(int(log.body[0]))) == {
        "handle": {"location": "host", "addr": "0x7fb69b97f970"}
    }


def test_lines_that_end_as_on_windows_are_read_alike() -> None:
    plain, windows = (parse_log(text) for text in (ENTRY + STATUS, (ENTRY + STATUS).replace(b"\n", b"\r\n")))
    assert windows.complete.all()
    assert windows.contexts == plain.contexts
    assert windows.time_ns.tolist() == plain.time_ns.tolist()
    assert [as_object(windows.arguments(b)) for b in (0, 1)] == [
        as_object(plain.arguments(b)) for b in (0, 1)
    ]


def test_two_processes_in_one_file_are_told_apart() -> None:
    log = parse_log(ENTRY + ENTRY.replace(b"Process=28210", b"Process=99"))
    assert [log.contexts[c].process for c in log.context.tolist()] == [28210, 99]


def test_records_that_ran_into_each_other_are_both_kept() -> None:
    lines = ENTRY.lstrip().splitlines(keepends=True)
    torn = b"".join(lines[:4]) + BARE.replace(b"cuDNN", b"CuDNN") + b"".join(lines[4:])
    log = parse_log(torn)
    assert functions(log) == ["cudnnBackendFinalize", "cudnnCreate", None]
    assert log.complete.tolist() == [False, True, False]
    assert log.contexts[int(log.context[2])].process == 28210


def test_a_message_that_names_cudnn_does_not_begin_a_record() -> None:
    body = ENTRY.replace(
        b"i!         engine_id",
        b"i!         Error: X; Reason: needs cuDNN (v91000) or newer\ni!         engine_id",
    )
    log = parse_log(body + ENTRY)
    assert functions(log) == ["cudnnBackendFinalize"] * 2
    assert log.complete.all()
    assert b"needs cuDNN (v91000)" in log.bodies[int(log.body[0])]


def test_lines_between_records_are_counted() -> None:
    log = parse_log(b"hello\n" + ENTRY + b"step 1 done\n" + ENTRY + b"bye\n")
    assert log.complete.tolist() == [True, True]
    assert log.other == ["hello", "step 1 done", "bye"]


def test_a_clock_that_is_set_back_is_counted() -> None:
    assert parse_log(ENTRY + STATUS).clock_steps == 0
    assert parse_log(STATUS + ENTRY).clock_steps == 1


@pytest.mark.parametrize("version", [b"7603", b"8204", b"93000 75", b"123456 1", b"0"])
def test_any_version_is_read(version: bytes) -> None:
    log = parse_log(ENTRY.replace(b"92800 42", version))
    assert log.versions == [(int(version.split()[0]), int(version.split()[1]) if b" " in version else None)]


@given(cut=st.integers(0, len(ENTRY + STATUS + WARNING + ENTRY)))
def test_a_log_cut_anywhere_keeps_what_is_there(cut: int) -> None:
    whole = ENTRY + STATUS + WARNING + ENTRY
    log = parse_log(whole[:cut])
    heads = whole[:cut].count(b"() called:")
    assert heads <= len(log) <= heads + 1
    assert int(log.complete.sum()) <= len(log)
    ended = whole[:cut].count(b"StreamId=NULL.") + whole[:cut].count(b"(defaultStream).")
    assert int(log.complete.sum()) >= ended
    for code in range(len(log.bodies)):
        log.arguments(code)


@pytest.mark.parametrize("seen", [1, 3])
def test_a_damaged_head_is_a_record_without_one_however_often_the_one_before_was_seen(seen: int) -> None:
    log = parse_log(STATUS * seen + STATUS.replace(b"(v9", b"(v\x009") + STATUS)
    assert log.function.tolist() == [0] * seen + [-1, 0]
    assert log.complete.tolist() == [True] * seen + [False, True]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [ENTRY, STATUS, WARNING, BARE, b"noise\n", b"i! Process=1; Thread=", b"\xff\n", b"\n"]
        ),
        max_size=8,
    ),
    st.binary(max_size=40),
    st.integers(0, 4000),
)
def test_no_text_breaks_the_reader(parts: list[bytes], extra: bytes, at: int) -> None:
    data = b"".join(parts)
    data = data[:at] + extra + data[at:]
    log = parse_log(data)
    columns = (log.function, log.version, log.level, log.body, log.context, log.time_ns, log.complete)
    assert {len(c) for c in columns} == {len(log)}
    assert (log.function < len(log.functions)).all()
    assert (log.body < len(log.bodies)).all()
    for code in range(len(log.bodies)):
        as_object(log.arguments(code))
        meaning("cudnnConvolutionForward", log.arguments(code))


def same(one: CudnnLog, other: CudnnLog) -> bool:
    pairs = [(getattr(one, f.name), getattr(other, f.name)) for f in fields(CudnnLog) if f.name != "pages"]
    return all(np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b for a, b in pairs)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [ENTRY, STATUS, WARNING, BARE, b"CuDNN (v92800 42) function", b"uDNN (v", b"hello\n", b"\n", b"C"]
        ),
        max_size=10,
    ),
    st.integers(0, 3000),
    st.binary(max_size=3),
    st.lists(st.integers(0, 3000), max_size=4),
)  # fmt: skip
def test_pieces_of_any_size_hold_the_same_records(
    parts: list[bytes], at: int, noise: bytes, cuts: list[int]
) -> None:
    data = b"".join(parts)
    data = data[:at] + noise + data[at + len(noise) :]
    scan = cudnn_log._Scan()
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for first, last in pairwise(edges):
        scan.take(data[first:last])
    assert same(scan.log(Path("(memory)"), None), parse_log(data))


def test_a_file_is_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.log"
    path.write_bytes((ENTRY + STATUS + WARNING + BARE) * 50)
    monkeypatch.setattr(cudnn_log, "PIECE", 1000)
    assert same(cudnn_log.read(path), parse_log(path.read_bytes(), path))


@given(st.text(max_size=300))
def test_no_body_breaks_the_arguments(text: str) -> None:
    as_object(parse_arguments(text))


@given(
    st.integers(0, 99),
    st.dictionaries(st.sampled_from(["TILE_SIZE", "USE_TEX", "EDGE"]), st.integers(-1, 300)),
)
def test_a_tag_lists_knobs_by_number(engine: int, knobs: dict[str, int]) -> None:
    numbers = {"TILE_SIZE": 2, "USE_TEX": 3, "EDGE": 4}
    parts = [f"k{numbers[k]}={v}" for k, v in sorted(knobs.items(), key=lambda kv: numbers[kv[0]])]
    assert tag(engine, knobs) == "_".join([f"eng{engine}", *parts])


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_compressed_logs_are_read_and_a_cut_one_up_to_its_cut(tmp_path: Path, pack: object) -> None:
    data = pack(ENTRY * 200 + STATUS)  # type: ignore[operator]
    path = tmp_path / "log"
    path.write_bytes(data)
    whole = cudnn_log.read(path)
    assert (len(whole), whole.cut) == (201, None)
    path.write_bytes(
        gzip.compress(b"".join(ENTRY.replace(b"106945", b"%06d" % i) for i in range(5000)))[:-2000]
    )
    cut = cudnn_log.read(path)
    assert cut.cut is not None
    assert 0 < len(cut) < 5000


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress])
def test_only_the_first_bytes_of_a_packed_file_are_unpacked_to_know_it(tmp_path: Path, pack: object) -> None:
    path = tmp_path / "log"
    path.write_bytes(pack(ENTRY + b"\0" * 50_000_000))  # type: ignore[operator]
    assert len(read_head(path)) <= HEAD
    assert cudnn_log.sniff(path, read_head(path))


def test_a_file_without_records_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_text("nothing\n")
    with pytest.raises(InputError, match=r"x\.log: holds no record"):
        cudnn_log.read(path)


WHOLE = {  # records, of which incomplete, lines between them
    "cudnn_log/cudnn_v7501_find_excerpt.log": (1, 0, 0),
    "cudnn_log/cudnn_v7603_pytorch_conv3d.log": (27, 0, 0),
    "cudnn_log/cudnn_v8005_convfwd_TRUNCATED_excerpt.log": (1, 1, 0),
    "cudnn_log/cudnn_v8_mixed_excerpts.log": (12, 0, 0),
    "cudnn_log/cudnn_v90000_nvidia_docs_excerpt.txt": (1, 1, 0),
    "cudnn_log/cudnn_v92400_callback_julia_excerpt.log": (2, 0, 2),
    "cudnn_log/cudnn_v9_excerpts.log": (3, 1, 0),
    "cudnn9_genuine/log_9.28.0/level3.log": (222, 0, 0),
    "cudnn9_genuine/log_9.28.0/mt_level3.log": (142, 0, 0),
    "cudnn9_genuine/log_9.28.0/nullhandle_segv_level3.log": (306, 0, 0),
    "cudnn9_genuine/log_9.28.0/setcallback.txt": (25, 0, 28),
    "cudnn9_genuine/log_9.3.0/nullhandle_segv_level3.log": (191, 0, 0),
    "cudnn9_genuine/tf_real_cudnn/cudnn_level3_cold.log.gz": (29770, 0, 0),
}


@pytest.mark.parametrize("name", WHOLE)
def test_recorded_logs_are_read_whole(shared_data: Path, name: str) -> None:
    log = cudnn_log.read(shared_data / name)
    assert (len(log), int((~log.complete).sum()), len(log.other)) == WHOLE[name]


def test_the_older_api_tells_its_convolution(shared_data: Path) -> None:
    log = cudnn_log.read(shared_data / "cudnn_log/cudnn_v7603_pytorch_conv3d.log")
    at = functions(log).index("cudnnConvolutionForward")
    what = meaning("cudnnConvolutionForward", log.arguments(int(log.body[at])))
    assert what.algorithm == "CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM"
    assert what.workspace_bytes == 113445012
    assert what.problem == {
        "op": "Conv3D", "direction": "forward", "input": [1, 64, 24, 512, 512], "filter": [3, 3, 3, 64, 64],
        "output": [1, 64, 24, 512, 512], "strides": [1, 1, 1], "dilations": [1, 1, 1],
        "padding": [[1, 1], [1, 1], [1, 1]], "groups": 1, "layout": "NCDHW", "dtype": "float32",
        "math": "DEFAULT_MATH", "fused": [],
    }  # fmt: skip


def test_the_backend_api_tells_graph_engine_and_knobs(shared_data: Path) -> None:
    log = cudnn_log.read(shared_data / "cudnn9_genuine/tf_real_cudnn/cudnn_level3_cold.log.gz")
    at = functions(log).index("cudnnBackendExecute")
    what = meaning("cudnnBackendExecute", log.arguments(int(log.body[at])))
    assert (what.engine, what.knobs, what.algorithm) == (
        28,
        {"TILE_SIZE": 3, "USE_TEX": 0},
        "eng28_k2=3_k3=0",
    )
    assert what.device == "NVIDIA A100-SXM4-40GB"
    assert what.problem is not None
    assert {k: what.problem[k] for k in ("op", "input", "filter", "output", "layout", "padding")} == {
        "op": "Conv2D", "input": [2, 16, 16, 8], "filter": [3, 3, 8, 16], "output": [2, 16, 16, 16], "layout": "NHWC",
        "padding": [[1, 1], [1, 1]],
    }  # fmt: skip
