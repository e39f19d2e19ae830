"""oneDNN's lines between the marks of replays."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tftrace.agent.contract import REPLAY_MARKER
from tftrace.errors import InputError
from tftrace.ingest import replay_output

EXEC = (
    "onednn_verbose,v1,primitive,exec,cpu,convolution,brg_conv_fwd:avx2,forward_training,src:f32::blocked:acdb::f0 "
    "wei:f32:ap:blocked:Acdb24a::f0 bia:undef::undef::: dst:f32::blocked:acdb::f0,attr-scratchpad:user,"
    "alg:convolution_direct,mb8_ic128oc128_ih28oh28kh3sh1dh0ph1_iw28ow28kw3sw1dw0pw1,16.0891"
)
HEADER = """onednn_verbose,v1,info,oneDNN v3.7.3 (commit N/A)
onednn_verbose,v1,info,cpu,runtime:threadpool,nthr:2
onednn_verbose,v1,info,cpu,isa:Intel AVX2 with Intel DL Boost
"""


def test_only_the_second_call_of_a_replay_counts() -> None:
    text = (
        f"{REPLAY_MARKER},begin,0 onednn isa=AVX2\n{HEADER}{EXEC}1\nsomething else\n"
        f"{REPLAY_MARKER},steady,0 onednn isa=AVX2\n{EXEC}\n{EXEC}2\n{REPLAY_MARKER},end,0 onednn isa=AVX2\n{EXEC}3\n"
        f"{REPLAY_MARKER},begin,1 onednn isa=AVX2\n{EXEC}4\n"
    )
    found = replay_output.parse(text)
    assert (found.version, found.isa) == ("v3.7.3", "Intel AVX2 with Intel DL Boost")
    assert found.lines == {"0 onednn isa=AVX2": [EXEC, f"{EXEC}2"]}


KEYS = st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), min_size=1)


@given(st.dictionaries(KEYS, st.lists(st.integers(0, 9), max_size=4)))
def test_lines_come_back_under_their_keys(runs: dict[str, list[int]]) -> None:
    text = ""
    for key, numbers in runs.items():
        text += f"{REPLAY_MARKER},begin,{key}\n{EXEC}\n{REPLAY_MARKER},steady,{key}\n"
        text += "".join(f"{EXEC}{n}\n" for n in numbers) + f"{REPLAY_MARKER},end,{key}\n"
    found = replay_output.parse(text)
    assert found.lines == {key: [f"{EXEC}{n}" for n in numbers] for key, numbers in runs.items()}


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    replay_output.parse(text)


def test_a_missing_output_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        replay_output.read(tmp_path / "absent")
