"""What a machine offers: known from its processor's flags, not from a list."""

from __future__ import annotations

import pytest

from tftrace.capture.settings import (
    ISA_LIMITS,
    Machine,
    candidates,
    limits,
    machine,
    memory_bytes,
    settings,
    why_not,
)
from tftrace.model.conv2d_spec import parse

HASWELL = frozenset({"sse4_1", "avx", "avx2", "fma"})
SAPPHIRE = frozenset(
    flag
    for name, flags in ISA_LIMITS.items()
    if "VNNI_2" not in name and "FP16" not in name
    for flag in flags
)


def made(flags: frozenset[str], **more: object) -> Machine:
    return Machine("a processor", flags, cpus=8, memory_bytes=1 << 34, **more)  # type: ignore[arg-type]


def test_limits_are_those_below_the_processors_own() -> None:
    assert limits(made(HASWELL)) == ["AVX", "SSE41"]
    assert limits(made(SAPPHIRE))[0] == "AVX512_CORE_BF16"
    assert limits(made(frozenset())) == []
    assert set(limits(machine())) <= set(ISA_LIMITS)


def test_what_tensorflow_does_by_itself_comes_first_and_needs_no_setting() -> None:
    spec = parse("8,56,56,64:3,3,64,64")
    by_onednn, by_eigen = candidates(spec, made(SAPPHIRE)), candidates(spec, made(HASWELL, onednn=False))
    assert (by_onednn[0].name, dict(by_onednn[0].setting.env), by_onednn[0].code) == ("onednn", {}, ())
    assert (by_eigen[0].name, dict(by_eigen[0].setting.env)) == ("eigen", {})
    onednn = next(c for c in by_eigen if c.name == "onednn")
    assert onednn.setting.env == {"TF_ENABLE_ONEDNN_OPTS": "1"}


def test_a_cpu_has_libraries_limits_threads_layouts_types_and_xla() -> None:
    names = [c.name for c in candidates(parse("8,56,56,64:3,3,64,64"), made(SAPPHIRE))]
    assert len(names) == len(set(names))
    assert {
        "onednn", "eigen", "xla", "onednn layout=NCHW", "onednn dtype=bfloat16", "onednn math=bf16",
        "onednn threads=4", "onednn threads=1", "onednn isa=AVX2", "eigen layout=NCHW",
    } <= set(names)  # fmt: skip
    assert "onednn unfused" not in names
    fused = [c.name for c in candidates(parse("8,56,56,64:3,3,64,64:fused=bias,relu"), made(SAPPHIRE))]
    assert "onednn unfused" in fused
    half = [
        c.name for c in candidates(parse("8,56,56,64:3,3,64,64:1:SAME:bfloat16:layout=NCHW"), made(SAPPHIRE))
    ]
    assert not {"onednn dtype=bfloat16", "onednn math=bf16"} & set(half)
    assert "onednn layout=NHWC" in half


def test_a_gpu_has_autotune_determinism_tf32_layouts_types_and_xla() -> None:
    here = made(SAPPHIRE, gpus=("Tesla V100",))
    assert here.device == "/device:GPU:0"
    found = candidates(parse("8,56,56,64:3,3,64,64"), here)
    assert {
        "cudnn", "cudnn autotune=off", "cudnn deterministic", "cudnn tf32=off", "cudnn layout=NCHW",
        "cudnn dtype=float16", "xla",
    } == {c.name for c in found}  # fmt: skip
    assert len({tuple(s.env.items()) for s in settings(here)}) == 4


def test_one_cpu_has_no_fewer_threads_to_try() -> None:
    here = Machine("a processor", HASWELL, cpus=1, memory_bytes=1 << 34)
    assert not [s.name for s in settings(here) if "threads" in s.name]


@pytest.mark.parametrize(
    ("text", "reason"),
    [("8,56,56,64:3,3,64,64:1:SAME:int8", "floating-point"), ("4096,512,512,64:3,3,64,64", "smaller batch")],
)
def test_what_cannot_be_replayed_is_refused_with_the_reason(text: str, reason: str) -> None:
    why = why_not(parse(text), made(HASWELL))
    assert why is not None
    assert reason in why


def test_a_problem_that_fits_is_not_refused() -> None:
    spec = parse("8,56,56,64:3,3,64,64")
    assert why_not(spec, made(HASWELL)) is None
    assert memory_bytes(spec) > 4 * 8 * 56 * 56 * 64
