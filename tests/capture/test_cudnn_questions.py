"""Questions to cuDNN in child processes: each gets its own answer or the reason for none, whatever the library does."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.capture import standin_cudnn
from tests.capture.standin_cudnn import EMPTY, ENDS, HANGS, UNKNOWN, WRITES
from tftrace.capture import cudnn_child, cudnn_questions, cudnn_stand_ins
from tftrace.capture.cudnn_install import Install, find
from tftrace.capture.cudnn_questions import (
    CannotAskError,
    Question,
    ask,
    ask_all,
    questions,
    varied,
)
from tftrace.capture.gpu_properties import gpu
from tftrace.ingest.cudnn import enums as cudnn_enums
from tftrace.model.conv2d_spec import Conv2dSpec, parse
from tftrace.native import compiling


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def cudnn(tmp_path: Path) -> Install:
    return find(str(standin_cudnn.install(tmp_path / "packages")))


def of_batch(batch: int) -> Question:
    return Question(parse(f"{batch},8,8,4:3,3,4,4"), gpu("a100"))


def test_every_question_has_its_answer_in_its_place(cudnn: Install) -> None:
    asked = [of_batch(n) for n in (1, EMPTY, 3)]
    replies = ask(cudnn, asked)
    assert [reply.question for reply in replies] == asked
    assert {reply.version for reply in replies} == {92800}
    told = [json.loads(reply.line or "") for reply in replies]
    assert [len(one["modes"]["B"]) for one in told] == [2, 0, 2]
    first, second = told[0]["modes"]["B"]
    assert first == {
        "engine": 32, "knobs": [[2, 4]], "workspace": 0, "numerical": [0], "behavior": [], "plan": 0,
    }  # fmt: skip
    assert (second["knobs"], second["workspace"], second["plan"]) == ([[2, 5]], 1000, 3000)
    assert told[0]["modes"]["FALLBACK"] == {
        "error": "finalizing ENGINEHEUR: CUDNN_STATUS_NOT_SUPPORTED (said by the stand-in)"
    }


def test_a_crash_is_the_reason_of_one_and_the_others_go_on(cudnn: Install) -> None:
    replies = ask(cudnn, [of_batch(n) for n in (1, ENDS, 2, ENDS, ENDS, 3)])
    assert [reply.line is not None for reply in replies] == [True, False, True, False, False, True]
    assert replies[1].failure == "cuDNN ended the process by SIGABRT: a companion is not there"
    assert replies[1].version == 92800


def test_one_that_never_answers_is_ended(cudnn: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cudnn_questions, "PATIENCE_S", 1)
    replies = ask(cudnn, [of_batch(n) for n in (HANGS, 2)])
    assert replies[0].failure == "no answer within 1 s"
    assert replies[1].line is not None


def test_what_the_library_prints_is_no_answer(cudnn: Install) -> None:
    (reply,) = ask(cudnn, [of_batch(WRITES)])
    assert len(json.loads(reply.line or "")["modes"]["B"]) == 2


def test_a_graph_that_the_library_refuses_is_an_answer(cudnn: Install) -> None:
    refused, other = ask(cudnn, [of_batch(n) for n in (UNKNOWN, 2)])
    assert json.loads(refused.line or "")["error"].startswith(
        "finalizing OPERATIONGRAPH: CUDNN_STATUS_NOT_SUPP"
    )
    assert "modes" in json.loads(other.line or "")


def test_a_cudnn_without_device_less_heuristics_says_so(tmp_path: Path) -> None:
    older = find(str(standin_cudnn.install(tmp_path / "older", "9.3.0")))
    with pytest.raises(
        CannotAskError, match=r"cuDNN 9\.3\.0 has no heuristics without a device; use 9.8 or newer"
    ) as e:
        ask(older, [of_batch(1)])
    assert e.value.exit_code == 2


def test_one_version_that_cannot_be_asked_does_not_hide_the_other(cudnn: Install, tmp_path: Path) -> None:
    older = find(str(standin_cudnn.install(tmp_path / "older", "9.3.0")))
    first, second = ask_all([older, cudnn], [of_batch(1)])
    assert "9.3.0 has no heuristics" in (first.failure or "")
    assert second.line is not None
    with pytest.raises(CannotAskError, match=r"9\.3\.0"):
        ask_all([older], [of_batch(1)])


def test_without_cublaslt_it_is_not_even_tried(tmp_path: Path) -> None:
    alone = find(str(standin_cudnn.install(tmp_path / "alone", cublaslt=False)))
    if any(Path(place).exists() for place in alone.cublaslt):
        pytest.skip("this environment has a cuBLASLt")
    with pytest.raises(
        CannotAskError, match=r"libcublasLt\.so\.12 is not there .* pip install 'tftrace\[cudnn\]'"
    ):
        ask(alone, [of_batch(1)])


def test_a_library_that_is_none_is_one_line(tmp_path: Path, cudnn: Install) -> None:
    cudnn.library.unlink()
    cudnn.library.write_text("not a library")
    with pytest.raises(CannotAskError, match=r"cuDNN cannot be loaded: .*file too short"):
        ask(cudnn, [of_batch(1)])


def test_the_empty_driver_is_built_once_where_there_is_none() -> None:
    first, reason = cudnn_stand_ins.empty_driver()
    assert reason is None
    assert first is not None
    made = first.stat().st_mtime_ns
    assert cudnn_stand_ins.empty_driver() == (first, None)
    assert first.stat().st_mtime_ns == made


@pytest.mark.skipif(os.path.exists("/dev/nvidiactl"), reason="this machine has a driver, which is then taken")
def test_without_driver_and_compiler_both_are_named(cudnn: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "compiler", lambda: None)
    with pytest.raises(CannotAskError, match=r"no NVIDIA driver here, and an empty .* no C compiler"):
        ask(cudnn, [of_batch(1)])


def test_logs_of_cudnn_are_not_switched_on_by_the_users_environment(
    cudnn: Install, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CUDNN_LOGDEST_DBG", str(tmp_path / "cudnn.log"))
    monkeypatch.setenv("LD_LIBRARY_PATH", "/other")
    environment = cudnn_questions._environment(cudnn)
    assert not [name for name in environment if name.startswith("CUDNN_LOG")]
    first, *_, last = environment["LD_LIBRARY_PATH"].split(":")
    assert (first, last) == (str(cudnn.library.parent), "/other")


def test_a_fault_in_the_child_keeps_its_traceback(cudnn: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Question, "document", lambda self: {"device": {}})
    with pytest.raises(RuntimeError, match="KeyError"):
        ask(cudnn, [of_batch(1)])


@pytest.mark.parametrize(
    ("table", "known"),
    [
        (cudnn_child.DESCRIPTOR, cudnn_enums.DESCRIPTOR), (cudnn_child.TYPE, cudnn_enums.ATTRIBUTE_TYPE),
        (cudnn_child.ATTRIBUTE, cudnn_enums.ATTRIBUTE), (cudnn_child.HEUR_MODE, cudnn_enums.HEUR_MODE),
    ],
)  # fmt: skip
def test_the_childs_numbers_are_those_of_the_other_readers(
    table: dict[str, int], known: dict[int, str]
) -> None:
    assert {name: known.get(number) for name, number in table.items()} == {name: name for name in table}


def test_data_types_and_activations_have_cudnns_numbers() -> None:
    for dtype, number in cudnn_child.DATA_TYPE.items():
        assert cudnn_enums.DTYPE[cudnn_enums.DATA_TYPE[number]] == dtype
    named = {n: cudnn_enums.POINTWISE_MODE[number].lower() for n, number in cudnn_child.ACTIVATION.items()}
    assert named == {
        "relu": "relu_fwd", "relu6": "relu_fwd", "leaky_relu": "relu_fwd", "tanh": "tanh_fwd",
        "sigmoid": "sigmoid_fwd", "elu": "elu_fwd",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "x", "before", "after"),
    [
        ("1,8,9,4:3,3,4,4", [1, 4, 8, 9], [1, 1], [1, 1]),
        (
            "1,8,8,4:3,3,4,4:2",
            [1, 4, 9, 9],
            [0, 0],
            [0, 0],
        ),  # SAME is 0 before, 1 after: TensorFlow pads first
        ("1,224,224,3:7,7,3,4:2", [1, 3, 225, 225], [2, 2], [2, 2]),
        ("1,8,8,4:3,3,4,4:1:0,2,1,1", [1, 4, 10, 8], [0, 1], [0, 1]),
    ],
)
def test_paddings_are_equal_on_both_sides_as_tensorflow_makes_them(
    spec: str, x: list[int], before: list[int], after: list[int]
) -> None:
    question = Question(parse(spec), gpu("a100"))
    told = question.document()
    assert (told["x"], told["before"], told["after"]) == (x, before, after)
    assert question.padded.output == question.spec.output


def test_options_multiply_and_repeat_nothing() -> None:
    specs: list[Conv2dSpec] = [parse("1,8,8,4:3,3,4,4:fused=bias,relu"), parse("1,8,8,4:3,3,4,4")]
    made = varied(specs, ("forward", "backprop_input"), ("nchw",), ())
    assert [(s.direction, s.layout, s.fused) for s in made] == [
        ("forward", "NCHW", ("bias", "relu")), ("backprop_input", "NCHW", ()), ("forward", "NCHW", ()),
    ]  # fmt: skip
    assert varied(specs, (), (), ()) == specs
    asked = questions(specs[:1], [gpu("a100"), gpu("t4")], (16, 32, 16))
    assert [(q.gpu.name, q.alignment) for q in asked] == [("a100", 16), ("a100", 32), ("t4", 16), ("t4", 32)]
