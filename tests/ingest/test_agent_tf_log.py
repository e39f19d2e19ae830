"""Messages of TensorFlow's log as a run wrote them: in pieces, what a reader that takes one after the other finds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ingest.blocks import in_blocks
from tftrace.agent import contract
from tftrace.ingest import agent_tf_log
from tftrace.ingest.agent_tf_log import LoggedMessages
from tftrace.ingest.tf_log import LogEntry, parse_message

BLOCK = contract.VERBOSE_BLOCK
HEAD = re.compile(rb"(\d{1,10}) (\d{1,19}) (\d{1,19}) (\d{1,9}) (\d{1,9}) ")
Message = tuple[int, int, int, int, bytes]


def one_by_one(data: bytes) -> tuple[list[Message], int]:
    """The straightforward reader: thread, time, call, level and text of each message, and how many are cut."""
    found: list[Message] = []
    at = cut = 0
    while at < len(data):
        head = HEAD.match(data, at)
        if head is None or max(int(part) for part in head.groups()) >= 1 << 63:  # no record holds that
            cut += data[at] != 0
            at = -(-(at + 1) // BLOCK) * BLOCK
            continue
        tid, t, call, level, length = (int(part) for part in head.groups())
        end = head.end() + length
        found.append((tid, t, call, level - 1, data[head.end() : end]))
        at = -(-(end + 1) // BLOCK) * BLOCK
    return found, cut


def what_it_says(text: bytes) -> tuple[object, ...] | None:
    """Of a message, what does not depend on when and on which thread it was logged."""
    entry = parse_message(text)
    return None if entry is None else tuple(
        getattr(entry, name) for name in LogEntry.__dataclass_fields__ if name not in ("start_ns", "tid")
    )  # fmt: skip


def in_pieces(path: Path) -> tuple[list[Message], int]:
    logged = LoggedMessages(path)
    found: list[Message] = []
    for some in logged:
        assert len(some)
        assert some.forms == sorted(set(some.forms))
        columns = zip(
            some.tid.tolist(), some.t.tolist(), some.call.tolist(), some.level.tolist(), some.form.tolist(),
            strict=True,
        )  # fmt: skip
        for n, (tid, t, call, level, form) in enumerate(columns):
            found.append((tid, t, call, level, some.text(n)))
            first = some.forms[form]
            assert first <= n
            assert int(some.level[first]) == level
            assert what_it_says(some.text(first)) == what_it_says(some.text(n))
        assert [int(some.form[first]) for first in some.forms] == list(range(len(some.forms)))
    return found, logged.cut


def message(numbers: list[bytes], text: bytes) -> bytes:
    return in_blocks(
        b" ".join([*numbers, str(len(text)).encode(), text]) + b"\n" * (not text.endswith(b"\n"))
    )


LOGGED = b"I0000 00:00:1795444437.616833   27639 gpu_utils.cc:378] "
TEXTS = st.one_of(
    st.builds(
        lambda second, us, tid, place, text: b"I0000 00:00:%d.%06d %7d %s] %s\n" % (second, us, tid, place, text),
        st.sampled_from([1, 1795444437, 1795444438, 17954444370]), st.integers(0, 999999),
        st.sampled_from([7, 8, 27639, 12345678]),
        st.sampled_from([b"gpu_utils.cc:378", b"gpu_utils.cc:379", b"a 1 b"]),
        st.sampled_from([b"Loaded cuDNN version 91900", b"Loaded cuDNN version 90300",
                         b"\nDo cudnn execution plan with plan tag: e1",
                         b"launching kernel: k; gdx: 1 gdy: 2 gdz: 1 bdx: 2 bdy: 1 bdz: 1",
                         b"", b"7 5 3 1 9 x"]),
    ),
    st.sampled_from(
        [b"", b"x", b"1 2 3 4 5 ", b"a 1 2\n", b"a 3 4\n", b"I0000 1 2 3 ", LOGGED, LOGGED[:40], b"I0001 00:00:1.5 7 ",
         b"W0000 00:00:1.5 7 a.cc:1] x" * 9, b"2026-06-04 18:06:30.935978: I a.cc:473] Loaded cuDNN version 91900\n",
         b"7 5 3 1 2 hm" + bytes(20) + b"7 5 3 1 2 hm", b"\0" * 40 + b"9 9 9 9 9 x"]
    ),
    st.binary(max_size=90),
)  # fmt: skip
NUMBER = st.one_of(
    st.integers(0, 20), st.integers(0, 2**63 - 1), st.sampled_from([2**63, 10**19 - 1, 10**19])
)
LEVEL = st.one_of(st.integers(0, 5), st.sampled_from([10**9 - 1, 10**9]))
NUMBERS = st.tuples(NUMBER, NUMBER, NUMBER, LEVEL).map(lambda some: [str(n).encode() for n in some])
WHOLE = st.builds(message, NUMBERS, TEXTS)
PARTS = st.one_of(
    WHOLE,
    WHOLE,
    WHOLE.map(lambda data: in_blocks(bytes(20) + data[20:])),  # its head was never written
    st.integers(0, 4).map(lambda n: bytes(n * BLOCK)),
    st.binary(max_size=70).map(in_blocks),
    st.sampled_from([b"7 8 9 1 40 short\n", b"7 8 9 1 999999999 endless\n", b"7 8 9 1 300 x\n"]).map(
        in_blocks
    ),
)


@settings(max_examples=120, deadline=None)
@given(st.lists(PARTS, max_size=10), st.integers(0, 70), st.integers(1, 400))
def test_pieces_hold_what_was_logged(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes], cut: int, piece: int
) -> None:
    data = b"".join(parts)
    data = data[: len(data) - cut] if cut < len(data) else data
    path = tmp_path_factory.getbasetemp() / "tf_log.bin"
    path.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(agent_tf_log, "PIECE", piece)
        assert in_pieces(path) == one_by_one(data)


def test_messages_that_differ_in_time_and_thread_are_of_one_form(tmp_path: Path) -> None:
    path = tmp_path / "tf_log.bin"
    plan = b"I0000 00:00:1795444437.%06d %7d cuda_dnn.cc:1] Loaded cuDNN version %d\n"
    numbers = [[b"%d" % n for n in (7, 100 + i, i % 3, 4)] for i in range(600)]
    lines = [message(n, plan % (i, 27639 + i % 4, i % 2)) for i, n in enumerate(numbers)]
    path.write_bytes(b"".join(lines) + bytes(1 << 16))
    (some,) = LoggedMessages(path)
    assert some.forms == [0, 1]
    assert some.form.tolist() == [0, 1] * 300


def test_a_file_that_is_not_there_has_no_message(tmp_path: Path) -> None:
    assert in_pieces(tmp_path / "tf_log.bin") == ([], 0)
