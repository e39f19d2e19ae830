"""Lines of oneDNN that a run wrote whole: in columns, what a reader that takes one after the other finds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ingest.blocks import in_blocks
from tests.ingest.test_onednn_verbose import FORWARD
from tftrace.agent import contract
from tftrace.ingest import agent_verbose
from tftrace.ingest.agent_verbose import VerboseLines, read_verbose, version_in

EXAMPLES = Path(__file__).parents[2] / "traces" / "examples"
LINE = re.compile(rb"(\d{1,10}) (\d{1,19}) (\d{1,19}) ([^\0\n]*)\n")
Told = tuple[list[tuple[int, int, int, int, str, str]], list[str], str | None, int]


def one_by_one(data: bytes) -> Told:
    """The straightforward reader: primitives that ran, their texts as they came, oneDNN's version, and other lines."""
    ran, texts, version, other = [], dict[str, None](), None, 0
    for found in LINE.finditer(data):
        tid, t, itt = (int(found[i]) for i in (1, 2, 3))
        if max(tid, t, itt) >= 1 << 63:
            continue  # no record holds that
        text = found[4].decode("utf-8", "replace")
        if ",exec," not in text:
            other += 1
            if ",info,oneDNN v" in text and version is None:
                version = text.split(",info,oneDNN ", 1)[1].split(" ", 1)[0]
            continue
        head, _, time = text.rpartition(",")
        try:
            value = float(time)
        except ValueError:
            other += 1
            continue
        texts.setdefault(head)
        ran.append((found.start() // contract.VERBOSE_BLOCK + 1, tid, t, itt, value.hex(), head))
    return ran, list(texts), version, other


def in_columns(lines: VerboseLines) -> Told:
    ran = [
        (*at, ms.hex(), lines.forms[form])
        for *at, ms, form in zip(
            lines.block.tolist(), lines.tid.tolist(), lines.t.tolist(), lines.itt.tolist(), lines.ms.tolist(),
            lines.form.tolist(), strict=True,
        )
    ]  # fmt: skip
    return ran, lines.forms, lines.version, lines.other


INFO = b"onednn_verbose,v1,info,oneDNN v3.7.3 (commit N/A)"
TEXTS = st.one_of(
    st.sampled_from(
        [FORWARD.encode(), INFO, INFO[:-15], b"onednn_verbose,info,cpu,runtime:threadpool,nthr:2", b"",
         b"onednn_verbose,v1,primitive,exec,cpu,reorder,jit:uni,undef,src:f32 1 2 3 x,,,8x16x3x3", b",exec,",
         b"x,exec,5", b"onednn_verbose,v1,primitive,create:cache_hit,cpu,reorder,jit:uni,0.25", b",exec,\xff\xfe,\xc3",
         b",exec,\xe9"]
    ),
    st.binary(max_size=40),
)  # fmt: skip
TIMES = st.sampled_from(
    [b",0.25", b",3.40381", b",1e-05", b",nan", b",inf", b",-1", b",1_0", b",", b"", b",\xd9\xa1",
     b", 2 ", b",12345678901234567.5"]
)  # fmt: skip
NUMBERS = st.one_of(
    st.integers(0, 2**63 - 1),
    st.sampled_from([0, 2**63, 10**19 - 1, 10**19, 2**64 - 1, 10**10 - 1, 10**10]),
    st.integers(0, 300),
).map(lambda n: str(n).encode())
HEADS = st.one_of(
    st.tuples(st.integers(1, 2**31).map(lambda n: str(n).encode()), NUMBERS, NUMBERS).map(b" ".join),
    st.tuples(NUMBERS, NUMBERS, NUMBERS).map(b" ".join),
    st.sampled_from(
        [bytes(9), b"", b"junk 7 8 9", b"7  8 9", b"7 8", b"7\x008 9 1", bytes(4) + b"5 6 7", b"07 08 09"]
    ),
)
PARTS = st.one_of(
    st.builds(lambda head, text, time: head + b" " + text + time + b"\n", HEADS, TEXTS, TIMES),
    st.builds(lambda head, text, time: in_blocks(head + b" " + text + time + b"\n"), HEADS, TEXTS, TIMES),
    st.integers(0, 100).map(bytes),
    st.binary(max_size=40),
)


@settings(max_examples=120, deadline=None)
@given(st.lists(PARTS, max_size=10), st.integers(0, 40), st.integers(1, 400))
def test_columns_hold_what_each_line_says(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes], cut: int, piece: int
) -> None:
    data = b"".join(parts)
    data = data[: len(data) - cut] if cut < len(data) else data
    path = tmp_path_factory.getbasetemp() / "verbose.bin"
    path.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(agent_verbose, "PIECE", piece)
        lines = read_verbose(path)
        assert in_columns(lines) == one_by_one(data)
        header = next((found[4] for found in LINE.finditer(data) if b",info,oneDNN v" in found[4]), None)
        told = None if header is None else header.decode("utf-8", "replace").split(",info,oneDNN ", 1)[1]
        assert version_in(path) == (None if told is None else told.split(" ", 1)[0])


def test_lines_that_differ_in_their_times_are_of_one_form(tmp_path: Path) -> None:
    stem = FORWARD.rpartition(",")[0].encode()
    path = tmp_path / "verbose.bin"
    path.write_bytes(
        in_blocks(*(b"7 %d %d %s,%d.5\n" % (n + 1, n, stem, n) for n in range(900))) + bytes(4096)
    )
    lines = read_verbose(path)
    assert lines.forms == [stem.decode()]
    assert lines.ms.tolist() == [n + 0.5 for n in range(900)]
    assert in_columns(lines) == one_by_one(path.read_bytes())


def test_a_file_that_is_not_there_has_no_line(tmp_path: Path) -> None:
    lines = read_verbose(tmp_path / "verbose.bin")
    assert (len(lines), lines.forms, lines.version, lines.other) == (0, [], None, 0)
    assert version_in(tmp_path / "verbose.bin") is None


def test_what_was_recorded_is_read_alike() -> None:
    found = list(EXAMPLES.glob("*/raw/*/verbose.bin"))
    assert found
    for path in found:
        told = one_by_one(path.read_bytes())
        assert in_columns(read_verbose(path)) == told
        assert version_in(path) == told[2]
    assert any(len(read_verbose(path)) for path in found)
