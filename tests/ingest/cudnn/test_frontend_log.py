"""cudnn-frontend's log: every entry counted, plans and problems understood."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tftrace.ingest.cudnn import frontend_log as cudnn_frontend_log
from tftrace.ingest.cudnn.frontend_log import parse_log, plan_of

PLAN = (
    "[cudnn_frontend] CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR : ConvFwd_eng48_k2=15_k22=0, "
    "numeric_notes:[CUDNN_NUMERICAL_NOTE_TENSOR_CORE,] behavior_notes:[] workSpaceSize: 21008\n"
)


def test_a_plan_tells_engine_knobs_notes_and_workspace() -> None:
    (entry,) = parse_log(PLAN).entries
    assert entry.kind == "execution_plan"
    assert entry.fields == {
        "tag": "ConvFwd_eng48_k2=15_k22=0", "workspace_bytes": 21008, "operation": "ConvFwd", "engine": 48,
        "numeric_notes": ["CUDNN_NUMERICAL_NOTE_TENSOR_CORE"], "behavior_notes": [],
        "knobs": {"TILE_SIZE": 15, "LDGC": 0}, "algorithm": "eng48_k2=15_k22=0",
    }  # fmt: skip


def test_a_tag_on_its_own_line_belongs_to_its_graph() -> None:
    text = (
        "[cudnn_frontend] CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR has 1 operations.\nTag: ConvFwd_\n\nstray\n"
    )
    log = parse_log(text)
    assert [(e.kind, e.fields) for e in log.entries] == [
        ("operationgraph", {"operations": 1, "tag": "ConvFwd_"})
    ]
    assert log.other == ["stray"]


def test_the_engine_of_a_fused_graph_is_found() -> None:
    found = plan_of("ConvFwd_ADD_ADD_RELU_FWD_eng33_k2=2")
    assert (found["operation"], found["engine"], found["knobs"]) == (
        "ConvFwd_ADD_ADD_RELU_FWD",
        33,
        {"TILE_SIZE": 2},
    )


@given(st.text(max_size=200), st.integers(0, len(PLAN)))
def test_no_text_breaks_the_reader_and_every_marked_line_is_an_entry(text: str, cut: int) -> None:
    whole = PLAN[:cut] + text
    log = parse_log(whole)
    assert len(log.entries) == sum(line.startswith("[cudnn_frontend] ") for line in whole.split("\n"))


@pytest.mark.parametrize(
    ("name", "entries", "plans"),
    [
        ("tf_standin_gpu/frontend_info_grad.log", 85, 18),
        ("cudnn9_genuine/tf_real_cudnn/frontend_info_cold.log", 132, 44),
        ("cudnn9_genuine/tf_real_cudnn/frontend_info_grad.log", 371, 122),
        ("cudnn9_genuine/tf_real_cudnn/frontend_info_xla.log", 500, 61),
    ],
)
def test_recorded_logs_are_read_whole(shared_data: Path, name: str, entries: int, plans: int) -> None:
    log = cudnn_frontend_log.read(shared_data / name)
    kinds = Counter(e.kind for e in log.entries)
    assert (len(log.entries), kinds["execution_plan"], len(log.other)) == (entries, plans, 0)
    assert all("algorithm" in e.fields for e in log.entries if e.kind == "execution_plan")
