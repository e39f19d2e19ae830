"""A log of oneDNN in columns: each line as it is read by itself, whatever stands around it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ingest.test_onednn_verbose import FORWARD, LOGS
from tftrace.errors import InputError
from tftrace.ingest import onednn_log
from tftrace.ingest.onednn_line import VerboseLine, parse_line
from tftrace.ingest.onednn_log import OneDnnLog, parse_log

Read = list[tuple[VerboseLine, int | None, float | None]]


def one_by_one(data: bytes) -> tuple[Read, list[tuple[int, VerboseLine]], int]:
    """The straightforward reader: lines that are work, lines of the header, and how many others."""
    work: Read = []
    header: list[tuple[int, VerboseLine]] = []
    other = 0
    for text in data.decode("utf-8", "replace").split("\n"):
        line = parse_line(text)
        if line is None:
            other += bool(text.strip())
        elif line.kind == "info":
            header.append((len(work), line))
        else:
            at = line.timestamp_ns
            known = at is not None and at < 1 << 63
            work.append((replace(line, timestamp=None, ms_text=None), at if known else None, line.ms))
    return work, header, other


def in_columns(log: OneDnnLog) -> tuple[Read, list[tuple[int, VerboseLine]], int]:
    columns = zip(log.form.tolist(), log.timestamp_ns.tolist(), log.ms.tolist(), strict=True)
    work = [
        (log.forms[form], None if at == -1 else at, None if math.isnan(ms) else ms)
        for form, at, ms in columns
    ]
    return work, log.information, log.other


TOKENS = st.sampled_from(
    ["v1", "v0", "v12", "v", "exec", "primitive", "graph", "create:cache_hit", "create:start", "info", "cpu", "gpu0",
     "", "convolution", "jit:avx2", "16x3x3x3", "oneDNN v3.7.3 (commit N/A)", "src:f32::blocked:acdb::f0", "\xa0", "é",
     "\r"]
)  # fmt: skip
NUMBERS = st.one_of(
    st.sampled_from(
        ["0", "1", "007", "1.", ".5", "1.5.2", "1e-05", "1.5e+300", "1e", "9" * 19, "9" * 20, "9" * 25, "0." + "1" * 18,
         "1795442300058.573975", "1695442300099.7", "1695442300099.1234567", "99999999999999.5", "3.40381", "0.1", "-1",
         "1_0", "\u0661", "nan", "inf", "4294967296.000001", "123456.789"]
    ),
    st.floats(0, 1e9).map(lambda x: f"{x:g}"),
    st.integers(0, 2**64).map(str),
    st.decimals(0, 10**14, places=6).map(str),
)  # fmt: skip
LINE = st.builds(
    lambda marker, lead, when, kind, tokens, ms, end: (
        ",".join([marker, *lead, *when, *kind, *tokens, *ms]) + end
    ),
    st.sampled_from(["onednn_verbose", "dnnl_verbose", "mkldnn_verbose", "onednn_verbos", "x", "", " "]),
    st.sampled_from([[], ["v1"], ["v2"], ["v10"]]),
    st.lists(NUMBERS, max_size=1),
    st.sampled_from([[], ["exec"], ["primitive", "exec"], ["primitive", "create:cache_miss"], ["info"]]),
    st.one_of(st.lists(TOKENS | NUMBERS, max_size=9), st.just(FORWARD.split(",")[5:-1])),
    st.lists(NUMBERS, max_size=2),
    st.sampled_from(["", "", "\r", "\r\r"]),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(LINE, st.text(max_size=30)), max_size=12), st.booleans())
def test_columns_hold_what_each_line_says(lines: list[str], whole: bool) -> None:
    data = ("\n".join(lines) + "\n" * whole).encode("utf-8", "surrogatepass")
    assert in_columns(parse_log(data)) == one_by_one(data)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 300))
def test_bytes_of_any_kind_are_borne(noise: bytes, at: int) -> None:
    line = FORWARD.encode()
    data = line[:at] + noise + line[at:] + b"\n" + line
    assert in_columns(parse_log(data)) == one_by_one(data)


@pytest.mark.parametrize("name", LOGS)
@pytest.mark.parametrize("piece", [1, 700, 1 << 20])
def test_recorded_logs_are_read_alike_in_pieces_of_any_size(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch, name: str, piece: int
) -> None:
    path = shared_data / "onednn" / name
    monkeypatch.setattr(onednn_log, "PIECE", piece)
    assert in_columns(onednn_log.read(path)) == one_by_one(path.read_bytes())


def test_lines_that_differ_in_their_times_are_of_one_form() -> None:
    stem = FORWARD.rpartition(",")[0]
    text = "".join(f"{stem.replace('300064', str(300064 + n))},{n}.25\n" for n in range(500))
    log = parse_log(text.encode())
    assert len(log.forms) == 1
    assert (np.diff(log.timestamp_ns) == 1_000_000).all()
    assert log.ms.tolist() == [n + 0.25 for n in range(500)]


def test_a_file_without_a_line_of_onednn_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_text("hello\nonednn_verbose\n")
    with pytest.raises(InputError, match="no line of oneDNN"):
        onednn_log.read(path)
