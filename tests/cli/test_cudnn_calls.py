"""The stages in which `why` shows the cuDNN calls of an op."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console
from rich.tree import Tree

from tftrace.views.terminal import cudnn_calls


def call(name: str, about: str | None = None, count: int = 1, **more: Any) -> dict[str, Any]:
    return {"name": "cuDNN", "call": name, "about": about, "count": count, "total_us": float(count), **more}


COLD = [
    call("cudnnCreate"),
    call("cudnnBackendCreateDescriptor", "TENSOR", 3),
    call("cudnnBackendSetAttribute", "TENSOR_DIMENSIONS", 3),
    call("cudnnBackendFinalize", "TENSOR", 3),
    call("cudnnBackendCreateDescriptor", "OPERATIONGRAPH"),
    call("cudnnBackendCreateDescriptor", "ENGINEHEUR", tuning=True),
    call("cudnnBackendGetAttribute", "ENGINEHEUR_RESULTS", tuning=True),
    call("cudnnBackendCreateDescriptor", "ENGINECFG", 5, tuning=True),
    call("cudnnBackendGetAttribute", "KNOB_CHOICE_KNOB_TYPE", 9, tuning=True),
    call("cudnnBackendFinalize", "EXECUTION_PLAN", 2, tuning=True),
    call("cudnnBackendCreateDescriptor", "VARIANT_PACK", 2, tuning=True),
    call(
        "cudnnBackendExecute", algorithm="eng1", engine=1, workspace_bytes=4096, tuning=True, status="SUCCESS"
    ),
    call(
        "cudnnBackendExecute",
        algorithm="eng2",
        engine=2,
        workspace_bytes=0,
        tuning=True,
        status="EXECUTION_FAILED",
    ),
    call("cudnnBackendCreateDescriptor", "VARIANT_PACK"),
    call("cudnnBackendExecute", algorithm="eng1", engine=1, workspace_bytes=4096),
    {"name": "CUDA", "call": "cuLaunchKernel", "count": 7, "total_us": 1.0},
]


def drawn(calls: list[dict[str, Any]]) -> str:
    tree, out = Tree("library"), io.StringIO()
    cudnn_calls.draw(tree, calls)
    Console(file=out, width=120, markup=False, emoji=False, highlight=False).print(tree)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def test_a_cold_call_goes_through_every_stage() -> None:
    assert (
        drawn(COLD)
        == """\
library
└── cuDNN, 35 calls in the order in which it is used
    ├── handle            1   1.00 us  cudnnCreate  the library, and the stream it works on
    ├── descriptors      10   10.0 us  TENSOR x3, OPERATIONGRAPH  tensors, operation, operation graph
    ├── heuristics        2   2.00 us  ENGINEHEUR  which engines suit the graph
    ├── engines          14   14.0 us  ENGINECFG x5  engine configurations and their knobs
    ├── plans             2   2.00 us    an engine made ready, its workspace asked
    ├── trials            4   4.00 us  VARIANT_PACK x2  the autotuner runs each plan
    │   ├──       1   1.00 us  cudnnBackendExecute  eng1  workspace 4,096 B
    │   └──       1   1.00 us  cudnnBackendExecute  eng2  workspace 0 B  EXECUTION_FAILED
    └── execute           2   2.00 us  VARIANT_PACK  pointers and workspace, then the call
        └──       1   1.00 us  cudnnBackendExecute  eng1  workspace 4,096 B"""
    )


def test_the_older_api_has_its_search_and_its_call() -> None:
    calls = [
        call("cudnnSetTensor4dDescriptor"),
        call("cudnnGetConvolutionForwardAlgorithm_v7"),
        call("cudnnGetConvolutionForwardWorkspaceSize"),
        call("cudnnConvolutionForward", algorithm="WINOGRAD", workspace_bytes=0),
    ]
    shown = drawn(calls)
    places = [shown.index(f"─ {stage}") for stage in ("descriptors", "search", "execute")]
    assert places == sorted(places)
    assert "cudnnConvolutionForward  WINOGRAD  workspace 0 B" in shown


def test_what_is_not_cudnns_is_left_to_others() -> None:
    assert [c["call"] for c in COLD if not cudnn_calls.is_cudnn(c)] == ["cuLaunchKernel"]


def test_a_hostile_name_cannot_reach_the_terminal() -> None:
    assert "\x1b" not in drawn([call("cudnnBackendExecute", algorithm="eng1\x1b[31m")])
