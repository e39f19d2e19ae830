"""Chrome traces: TensorFlow's own, and those whose writer was cut off."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ingest.chrome_by_event import Row, attributes, by_event, correlation
from tftrace.errors import InputError
from tftrace.ingest import chrome, chrome_events, chrome_plain
from tftrace.ingest.chrome import ChromeTrace
from tftrace.ingest.chrome_plain import Plain
from tftrace.ingest.recorded_file import read_head
from tftrace.native.compiling import compiler

EVENTS: list[dict[str, Any]] = [
    {"ph": "M", "pid": 1, "name": "process_name", "args": {"name": "/device:GPU:0"}},
    {"ph": "M", "pid": 1, "tid": 13, "name": "thread_name", "args": {"name": "Stream #13(Compute)"}},
    {"ph": "X", "pid": 1, "tid": 13, "ts": 5.5, "dur": 2, "name": "k", "args": {"correlation_id": "7"}},
    {"ph": "B", "pid": 2, "tid": 1, "ts": 1, "name": "outer"},
    {"ph": "E", "pid": 2, "tid": 1, "ts": 4},
    {"ph": "C", "pid": 2, "tid": 1, "ts": 4, "name": "counter", "args": {"n": 1}},
    {},
]


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_intervals_names_and_what_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "t.json.gz"
    path.write_bytes(gzip.compress(json.dumps({"displayTimeUnit": "ns", "traceEvents": EVENTS}).encode()))
    assert chrome.sniff(path, read_head(path))
    trace = chrome.read(path)
    assert [trace.names[i] for i in trace.name] == ["k", "outer"]
    assert trace.start_ns.tolist() == [5500, 1000]
    assert trace.dur_ns.tolist() == [2000, 3000]
    assert (trace.processes, trace.threads) == (["/device:GPU:0", "2"], ["Stream #13(Compute)", "1"])
    assert (trace.passed_over, trace.malformed, trace.cut) == ({"C": 1}, 0, None)


@given(st.integers(1, 400))
def test_a_cut_trace_is_read_up_to_its_last_whole_event(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    text = json.dumps(EVENTS)
    path = written(tmp_path_factory.mktemp("cut") / "t.json", text[:cut])
    try:
        trace = chrome.read(path)
    except InputError:
        assert '"ts": 5.5, "dur": 2, "name": "k", "args": {"correlation_id": "7"}}' not in text[:cut]
    else:
        assert trace.cut is not None or cut >= len(text)


def test_events_of_any_shape_are_borne(tmp_path: Path) -> None:
    odd = [
        1,
        None,
        {"ph": "X", "ts": "now"},
        {"ph": "X", "ts": 1e300},
        {"ph": "X", "ts": 1, "args": 3, "name": None},
    ]
    trace = chrome.read(written(tmp_path / "t.json", json.dumps({"traceEvents": odd})))
    assert (len(trace), trace.malformed) == (1, 4)


@pytest.mark.parametrize(
    "name", ["v100_tf23_alexnet", "t4_tf23_alexnet_AUTOTUNE", "v100_tf23_resnet50v2_train"]
)
def test_tensorflows_own_traces_are_read(shared_data: Path, name: str) -> None:
    path = shared_data / "xplane_gpu" / f"{name}.trace.json.gz"
    events = json.loads(gzip.decompress(path.read_bytes()))["traceEvents"]
    assert len(chrome.read(path)) == sum(e.get("ph") == "X" for e in events)


def in_columns(trace: ChromeTrace) -> tuple[list[Row], dict[str, int], int]:
    """What the straightforward reader gives, of columns; arguments that hold the category are given back without it."""
    rows: list[Row] = []
    for n, args in enumerate(trace.args.to_pylist()):
        own = json.loads("{" + args + "}") if args else None
        category = trace.categories[trace.category[n]] if trace.category[n] >= 0 else None
        place = trace.processes[trace.process[n]], trace.threads[trace.thread[n]]
        rows.append(
            (trace.names[trace.name[n]], int(trace.start_ns[n]), int(trace.dur_ns[n]), *place, category, own)
        )
    return rows, trace.passed_over, trace.malformed


VALUE = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.integers(-(2**63), 2**63), st.text(max_size=5),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "1", "1.0", "é\n\x7f", "a}, {b", '"traceEvents": [', "\\", "9" * 30]),
)  # fmt: skip
DEEP = st.recursive(
    VALUE,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(["cat", "correlation", "correlation_id", "name", "a", "b", "é"])
TIME = st.one_of(
    st.integers(0, 9), st.floats(0, 1e7), st.sampled_from([8e15, 10**13 + 1, 9e15, -3, -0.001]), VALUE
)
EVENT = st.one_of(
    DEEP,
    st.fixed_dictionaries(
        {"ph": st.sampled_from("XXXXXBEEiIRCMb") | VALUE},
        optional={
            "name": st.sampled_from(["a", "b", "process_name", "thread_name", 1, "1", None]), "ts": TIME, "dur": TIME,
            "pid": st.sampled_from([1, "1", 1.0, True, None, 2]), "tid": st.sampled_from([1, "1", 2.5, [1], 3]),
            "cat": st.sampled_from(["x", "kernel", "", None, 7]),
            "args": DEEP | st.dictionaries(KEYS, DEEP, max_size=3),
        },
    ),
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(
    st.lists(EVENT, min_size=1, max_size=12), st.integers(1, 300), st.sampled_from([None, 1]), st.booleans(),
    st.sampled_from([{}, {"metadata": {"a": 1}}, {"metadata": {"traceEvents": [1]}},
                     {"stackFrames": [{"a": 1}, {"b": 2}]}]),
    st.booleans(), st.sampled_from([0, 1 << 40]),
)  # fmt: skip
def test_pieces_of_any_size_hold_what_the_events_say_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, events: list[Any], piece: int, indent: int | None, listed: bool,
    more: dict[str, Any], behind: bool, enough: int,
) -> None:  # fmt: skip
    events = [{"ph": "X", "ts": 1, "dur": 2, "pid": 1, "tid": 1}, *events]
    document = {"traceEvents": events, **more} if behind else {**more, "traceEvents": events}
    path = written(
        tmp_path_factory.getbasetemp() / "pieces.json",
        json.dumps(events if listed else document, indent=indent),
    )
    events = orjson.loads(path.read_bytes())
    events = events if listed else events["traceEvents"]  # type: ignore[call-overload]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chrome_events, "PIECE", piece)
        patch.setattr(chrome_events, "HEAD", 40)
        patch.setattr(chrome_events, "ENOUGH", enough)
        trace = chrome.read(path)
    assert trace.cut is None
    expected, passed, malformed = by_event(events)
    rows, *counts = in_columns(trace)
    assert counts == [passed, malformed]
    told = [n in trace.recategorized.tolist() for n in range(len(rows))]
    assert [row[:6] for row in rows] == [row[:6] for row in expected]
    for row, wanted, twice in zip(rows, expected, told, strict=True):
        assert attributes(None if twice else row[5], row[6]) == attributes(wanted[5], wanted[6])
    texts = [attributes(None, row[6])[1:-1] for row in rows]
    assert trace.args.to_pylist() == texts
    assert trace.correlation.tolist() == [correlation(row[6]) for row in expected]


ARGUMENT = st.integers(-9, 99) | st.sampled_from(["7", "v", "", 0.25, 1e-5, [1, [2]], {"c": None}])
PLAIN = st.fixed_dictionaries(
    {"ph": st.just("X"), "ts": st.integers(0, 9) | st.floats(0, 1e7)},
    optional={
        "name": st.sampled_from(["a", "b", "long name"]), "dur": st.integers(0, 9) | st.floats(0, 1e4),
        "pid": st.integers(0, 2), "tid": st.integers(0, 2), "cat": st.sampled_from(["x", "kernel"]),
        "args": st.dictionaries(st.sampled_from(["correlation", "a", "b"]), ARGUMENT),
    },
)  # fmt: skip
FRAGMENTS = [b"", b'"', b"{", b"}", b"]", b",", b"\\", b"0", b"-", b".", b"e", b" ",
             b"\xff", b"\x00", b"\x7f", b"nul", b'"a":1,']  # fmt: skip
EVERYTHING = tuple(name for name in ChromeTrace.__dataclass_fields__ if name not in ("path", "pages"))


def everything(path: Path, enough: int) -> list[Any] | str:
    """All that is read of a trace, or what it is refused with."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chrome_events, "ENOUGH", enough)
        try:
            trace = chrome.read(path)
        except InputError as error:
            return str(error)
    found = (getattr(trace, name) for name in EVERYTHING)
    columns = (value.to_pylist() if isinstance(value, pa.ChunkedArray) else value for value in found)
    return [value.tolist() if isinstance(value, np.ndarray) else value for value in columns]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(PLAIN | PLAIN | EVENT, min_size=1, max_size=12), st.sampled_from([30, 200, 1 << 21]),
    st.sampled_from([(",", ":"), (", ", ": "), (",\n ", " :\t")]),
    st.lists(st.tuples(st.integers(0, 2000), st.sampled_from(FRAGMENTS)), max_size=2), st.integers(1, 3),
)  # fmt: skip
def test_whatever_a_text_holds_is_read_alike_with_and_without_c(
    tmp_path_factory: pytest.TempPathFactory, events: list[Any], piece: int, separators: tuple[str, str],
    damage: list[tuple[int, bytes]], room: int,
) -> None:  # fmt: skip
    data = json.dumps({"traceEvents": events}, separators=separators).encode()
    for at, text in damage:  # put in, and in place of one byte
        data = data[: at // 2] + text + data[at // 2 + at % 2 :]
    path = tmp_path_factory.getbasetemp() / "alike.json"
    path.write_bytes(data or b" ")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chrome_events, "PIECE", piece)
        patch.setattr(chrome_plain, "ROOM", room * 20)
        assert everything(path, 0) == everything(path, 1 << 40)


@pytest.mark.skipif(compiler() is None, reason="there is no C compiler")
def test_plain_events_are_not_parsed_and_others_are() -> None:
    plain = (
        b'{"ph":"X","ts":1.5,"dur":2,"name":"a","pid":1,"tid":2,"args":{"correlation":"7", "b" : [1, 0.25]}}'
    )
    odd = b'{"ph":"X","ts":2,"name":"\xc3\xa9"}'
    found = Plain().read(b"".join((plain, b",\n", odd, b", ", plain, b",", plain, b"]")))
    assert found is not None
    block, at = found
    assert (len(block), block.odd, block.odd_at.tolist(), block.rows.at.tolist()) == (
        3, [{"ph": "X", "ts": 2, "name": "\xe9"}], [1], [0, 2],
    )  # fmt: skip
    assert at == len(plain) * 2 + len(odd) + 5
    assert block.rows.args.to_pylist() == ['"correlation":"7","b":[1,0.25]'] * 2
    assert block.rows.correlation.tolist() == [7, 7]
    assert (block.rows.start_ns.tolist(), block.rows.dur_ns.tolist()) == ([1500, 1500], [2000, 2000])


@pytest.mark.skipif(compiler() is None, reason="there is no C compiler")
@pytest.mark.parametrize(
    ("arguments", "is_plain"),
    [
        ('"a":1', True), ('"a":-0', False), ('"a":999999999999999999', True), ('"a":9999999999999999999', False),
        ('"a":0.1', True), ('"a":0.10', False), ('"a":1.0', True), ('"a":0.0001', True), ('"a":0.00001', False),
        ('"a":-0.0', True), ('"a":1e5', False), ('"a":123456789.123456', True), ('"a":0.1000000000000000055', False),
        ('"a":1,"a":2', False), ('"cat":1', False), ('"a":{"b":{}}', True), ('"a":"\\n"', False), ('"a":true', True),
        ('"correlation":4611686018427387903', False), ('"correlation":"4611686018427387903"', True),
        ('"correlation":"4611686018427387904"', True), ('"correlation_id":"","correlation":"007"', True),
    ],
)  # fmt: skip
def test_arguments_are_taken_over_where_python_writes_the_same(
    tmp_path: Path, arguments: str, is_plain: bool
) -> None:
    event = f'{{"ph":"X","ts":1,"args":{{ {arguments} }}}}'
    found = Plain().read(f"{event},{event}]".encode())
    assert found is not None
    assert (found[0].odd == []) == is_plain
    path = written(tmp_path / "t.json", f"[{event},{event}]")
    assert everything(path, 0) == everything(path, 1 << 40)
    own = json.loads(event)["args"]
    if is_plain:
        assert found[0].rows.args.to_pylist() == [attributes(None, own)[1:-1]]
        assert found[0].rows.correlation.tolist() == [correlation(own)]


@pytest.mark.parametrize("name", ["v100_tf23_alexnet", "v100_tf23_resnet50v2_train"])
def test_recorded_traces_are_read_alike_with_and_without_c(shared_data: Path, name: str) -> None:
    path = shared_data / "xplane_gpu" / f"{name}.trace.json.gz"
    found = everything(path, 0)
    assert found == everything(path, 1 << 40)
    assert isinstance(found, list)


@pytest.mark.parametrize(
    "end", ["", ",", '{"ph": "X", "ts": 1, "args": {"a": [{"b": 1}, {"c"', "}}}", "\x00", "\\"]
)
def test_a_trace_that_breaks_off_is_told_and_kept_up_to_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr(chrome_events, "PIECE", 100)
    events = [{"ph": "X", "ts": n, "dur": 1, "pid": 1, "tid": 1, "name": f"n{n}"} for n in range(50)]
    text = json.dumps({"traceEvents": events}).removesuffix("]}") + end
    trace = chrome.read(written(tmp_path / "t.json", text))
    assert len(trace) == 50
    assert trace.cut is not None
    assert trace.cut.startswith("the file is cut or damaged: ")
    assert trace.cut.endswith(", behind event 50")


def test_text_that_is_no_utf8_is_read_with_marks_and_told(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_bytes(json.dumps({"traceEvents": EVENTS}).encode().replace(b'"outer"', b'"o\xffr"'))
    trace = chrome.read(path)
    assert "o\ufffdr" in trace.names
    assert trace.cut is not None


def test_memory_follows_the_columns_and_not_the_parsed_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parsed at once, these events took six times the size of their file."""
    monkeypatch.setattr(chrome_events, "PIECE", 1 << 18)
    path = tmp_path / "t.json"
    args = {f"k{n}": n for n in range(40)}
    event = json.dumps({"ph": "X", "ts": 1.5, "dur": 2, "pid": 1, "tid": 1, "name": "a", "args": args})
    path.write_text("[" + ",\n".join([event] * 60_000) + "]")
    tracemalloc.start()
    chrome.read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < path.stat().st_size / 2
