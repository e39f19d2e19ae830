"""What `tftrace tune` draws and writes, from a document as analysis makes it."""

from __future__ import annotations

from typing import Any

from tests.cli.test_terminal import drawn
from tftrace.views import settings_file
from tftrace.views.terminal import tuned


def candidate(name: str, us: float | None, **more: Any) -> dict[str, Any]:
    return {
        "algorithm": name, "time_us": us, "low_us": us and us * 0.9, "high_us": us and us * 1.1, "status": "ok",
        "chosen": False, "exact_enough": True, "same_as": None, "default": name == "onednn", "reason": None,
        "max_relative_difference": 1.4e-6, "implementation": "brg_conv_fwd:avx512_core", "primitives": [],
        "settings": {"env": {}, "code": []}, "rank": 1, **more,
    }  # fmt: skip


def document(**more: Any) -> dict[str, Any]:
    fast = candidate(
        "onednn isa=AVX2", 800.0, chosen=True, settings={"env": {"ONEDNN_MAX_CPU_ISA": "AVX2"}, "code": []}
    )
    problem = {
        "problem": {"op": "Conv2D", "direction": "forward"}, "spec": "8,28,28,128:3,3,128,128:1:SAME:float32",
        "traced_calls": 53, "tied": ["xla"],
        "candidates": [
            fast,
            candidate("onednn", 1600.0),
            candidate("xla", 900.0, implementation=None, primitives=[{"call": "gemm_api", "count": 128}], low_us=None),
            candidate("onednn dtype=bfloat16", 100.0, exact_enough=False, max_relative_difference=0.25),
            candidate("onednn isa=AVX", None, status="not_tried", same_as="onednn isa=AVX2"),
            candidate("eigen", None, status="failed", reason="it was killed by SIGSEGV\x1b[2J"),
        ],
    }  # fmt: skip
    times = {"time_us": 800.0, "low_us": 720.0, "high_us": 880.0}
    pin = {
        "candidate": "onednn isa=AVX2", "env": {"ONEDNN_MAX_CPU_ISA": "AVX2"}, "why": "the least time",
        "total_us": times, "default": {"candidate": "onednn", **times, "time_us": 1600.0}, "weighted_by": "calls",
        "max_relative_difference": 1.4e-6, "disagree": [{"spec": "other", "candidate": "eigen", **times}],
        "in_code": [{"spec": "third", "candidate": "xla", "code": ["tf.function(jit_compile=True)"], **times}],
    }  # fmt: skip
    return {
        "problems": [problem], "pin": pin, "synthetic": False, "versions": {"tensorflow": "2.21.0"},
        "device": {"description": "a processor"}, "tuned": {"cpus": 2},
        "not_replayed": [{"problem": {"op": "reorder"}, "reason": "reorder is no 2-D convolution"}] * 2, **more,
    }  # fmt: skip


def test_the_table_ranks_and_says_what_ran_or_why_nothing_did() -> None:
    out = drawn(lambda console: tuned.draw(console, document()), width=100)
    assert "* onednn isa=AVX2: ONEDNN_MAX_CPU_ISA=AVX2" in out
    assert "within the noise as fast: xla" in out
    assert "not replayed: 2 problems: reorder is no 2-D convolution" in out
    assert "export ONEDNN_MAX_CPU_ISA=AVX2" in out
    lines = out.splitlines()
    cells = {line[3:25].strip(): line for line in lines if line[:3] in ("*  ", "   ")}
    assert "720 .. 880 us" in cells["onednn isa=AVX2"]
    assert "0.50" in cells["onednn isa=AVX2"]
    assert "1.44 .. 1.76 ms" in cells["onednn"]
    assert "128 gemm_api" in cells["xla"]
    assert "not exact enough" in cells["onednn dtype=bfloat16"]
    assert "same as onednn isa=AVX2" in cells["onednn isa=AVX"]
    assert "failed: it was killed by" in cells["eigen"]


def test_text_of_a_process_cannot_move_the_cursor() -> None:
    assert "\x1b" not in drawn(lambda console: tuned.draw(console, document()), width=200)


def test_a_stand_in_and_an_empty_tuning_say_so() -> None:
    out = drawn(lambda console: tuned.draw(console, document(synthetic=True, problems=[])))
    assert "synthetic" in out


def test_the_settings_file_says_what_it_is_worth() -> None:
    text = settings_file.text(document())
    assert text.startswith(settings_file.HEAD)
    assert text.splitlines()[-1] == "export ONEDNN_MAX_CPU_ISA=AVX2"
    assert all(line.startswith(("#", "export ")) for line in text.splitlines())
    assert "TensorFlow 2.21.0 on a processor, 2 CPUs" in text
    assert "onednn isa=AVX2: 800 us (720 us to 880 us)" in text
    assert "53 x 8,28,28,128" in text
    assert "1.4e-06 of the largest" in text
    assert "other alone would be faster with eigen" in text
    assert "third would be faster" in text
    assert "synthetic" in settings_file.text(document(synthetic=True))
