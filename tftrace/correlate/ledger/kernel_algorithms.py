"""Which of cuDNN's algorithms a call used, told by the names of the kernels that it launched (cuDNN 7 to 9).

Names are all that a profile of a tuned run has. What they tell is inferred, and `confidence` says how surely: the share
of calls with such kernels for which the rule is right. `docs/kernel-names.md` has the table with where each rule comes
from, `benchmarks/kernel_names.py` checks it on labelled recordings.

    kernels of one call                                                            algorithm, direction
    computeOffsetsKernel, volta_scudnn_128x128_relu_small_nn_v1                    IMPLICIT_PRECOMP_GEMM, forward
    scalePackedTensor_kernel, dgrad_engine<float, 128, ..>                         ALGO_0, backprop_input
    fft2d_r2c_32x32, fft2d_r2c_32x32, volta_gcgemm_32x32_nt, fft2d_c2r_32x32  ->   FFT_TILING, not known
    nchwToNhwcKernel                                                               none

Names may be demangled or not, with or without arguments, in any order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

FORWARD: Final = "forward"
INPUT: Final = "backprop_input"
FILTER: Final = "backprop_filter"

FAMILIES: Final[dict[str, dict[str, str]]] = {
    "implicit": {FORWARD: "IMPLICIT_GEMM", INPUT: "ALGO_0", FILTER: "ALGO_0"},
    "precomputed": {FORWARD: "IMPLICIT_PRECOMP_GEMM", INPUT: "ALGO_1", FILTER: "ALGO_1"},
    "explicit": {FORWARD: "GEMM"},
    "fft": dict.fromkeys((FORWARD, INPUT, FILTER), "FFT"),
    "fft_tiling": dict.fromkeys((FORWARD, INPUT, FILTER), "FFT_TILING"),
    "winograd": dict.fromkeys((FORWARD, INPUT, FILTER), "WINOGRAD"),
    "winograd_nonfused": dict.fromkeys((FORWARD, INPUT, FILTER), "WINOGRAD_NONFUSED"),
}
"""What the same way to compute is called in each direction, in cuDNN's own names without their common beginning."""


@dataclass(frozen=True)
class Rule:
    """`pattern` is looked for in a name; of the rules that fit a call's names the first one decides. `direction` is
    None where kernels of that name serve several. `other` is an algorithm that launches the same kernels;
    `labelled`: checked on calls whose algorithm is known (cuDNN 7.6 on Turing and Volta), else from what the names say
    and from what others report."""

    name: str
    pattern: str
    family: str
    direction: str | None
    confidence: float
    other: str | None = None
    labelled: bool = False


RULES: Final = (
    Rule("winograd-nonfused-wgrad", r"winogradWgrad", "winograd_nonfused", FILTER, 0.99, labelled=True),
    Rule("winograd-nonfused", r"winograd_nonfused|winogradForward", "winograd_nonfused", None, 0.99, labelled=True),
    Rule("fft-1d", r"fft1d_(?:r2c|c2r)", "fft_tiling", None, 0.7, "FFT"),
    Rule("fft-32x32", r"fft2d_(?:r2c|c2r)_32x32|_gcgemm_", "fft_tiling", None, 0.97, labelled=True),
    Rule("fft", r"fft2d_(?:r2c|c2r)", "fft", None, 0.97, labelled=True),
    Rule("fft-parts", r"fermiPlusCgemm|_cgemm_|flip_filter|compute_gemm_pointers", "fft", None, 0.85),
    Rule("winograd", r"winograd", "winograd", None, 0.98, labelled=True),
    Rule("explicit-gemm", r"explicit_convolve", "explicit", FORWARD, 0.98, labelled=True),
    Rule("im2col", r"im2col|vol2col", "explicit", FORWARD, 0.95),
    Rule("precomputed-gemm", r"precomputed_convolve|convolve_precomputed", "precomputed", FORWARD, 0.97),
    Rule("implicit-gemm-half", r"implicit_convolve\w{0,9}_h{1,2}gemm", "implicit", FORWARD, 0.95,
         "IMPLICIT_PRECOMP_GEMM", labelled=True),
    Rule("implicit-gemm", r"implicit_convolve|cudnn_convolve_sgemm", "implicit", FORWARD, 0.97, labelled=True),
    Rule("implicit-gemm-nhwc", r"convolve_common_engine", "implicit", FORWARD, 0.75, "IMPLICIT_PRECOMP_GEMM"),
    Rule("wgrad-alg0", r"wgrad_alg0", "implicit", FILTER, 0.97, labelled=True),
    Rule("wgrad-alg1", r"wgrad_alg1", "precomputed", FILTER, 0.7, "ALGO_3"),
    Rule("dgrad-alg1", r"dgrad(?:2d)?_alg1", "precomputed", INPUT, 0.95),
    Rule("dgrad-alg0", r"dgrad_engine|dgrad(?:2d)?_alg0", "implicit", INPUT, 0.97, labelled=True),
    Rule("wgrad-nd", r"convolve(?:Nd)?_wgrad", "implicit", FILTER, 0.6, "ALGO_1"),
    Rule("dgrad-nd", r"convolve(?:Nd)?_dgrad", "implicit", INPUT, 0.6, "ALGO_1"),
    Rule("dgrad-1x1", r"dgrad_1x1_stride_2x2", "precomputed", INPUT, 0.6, "ALGO_0"),
    Rule("wgrad-grouped", r"wgrad\dd_(?:grouped|c1_k1|shmem)", "precomputed", FILTER, 0.5, "ALGO_0"),
    Rule("dgrad-grouped", r"dgrad\dd_(?:grouped|c1_k1)", "precomputed", INPUT, 0.5, "ALGO_0"),
    Rule("forward-depthwise", r"conv\dd_c1_k1", "precomputed", FORWARD, 0.5, "IMPLICIT_GEMM"),
    Rule("forward-grouped", r"conv\dd_grouped", "implicit", FORWARD, 0.5, "IMPLICIT_PRECOMP_GEMM"),
    Rule("split-k", r"cudnn_\w{0,60}stridedB_splitK", "precomputed", FILTER, 0.5, "ALGO_3", labelled=True),
    Rule("strided-b", r"cudnn_\w{0,60}stridedB", "precomputed", INPUT, 0.97, labelled=True),
    Rule("generated-wgrad", r"(?:cudnn_|xmma|cutlass)[\w:<]{0,200}[wW]grad|first_layer_wgrad", "precomputed", FILTER,
         0.9, "ALGO_3"),
    Rule("generated-dgrad", r"(?:cudnn_|xmma|cutlass)[\w:<]{0,200}[dD]grad", "precomputed", INPUT, 0.93),
    Rule("generated-fprop", r"(?:xmma|cutlass)[\w:<]{0,200}[fF]prop|first_layer_fwd", "precomputed", FORWARD, 0.93),
    Rule("cudnn-tiles", r"cudnn_(?!generated)\w{0,60}\d+[xX]\d+", "precomputed", FORWARD, 0.96, labelled=True),
    Rule("offsets-wgrad", r"computeWgrad\w{0,20}Offsets", "precomputed", FILTER, 0.5, "ALGO_3"),
    Rule("offsets-dgrad", r"computeBOffsets", "precomputed", INPUT, 0.8),
    Rule("offsets", r"computeOffsets|kern_precompute_indices", "precomputed", FORWARD, 0.7),
)  # fmt: skip
"""In the order in which they are tried: what one algorithm alone launches comes before what several do."""

FOREIGN: Final = re.compile(
    r"tensorflow::|Eigen::|(?:^|void )at::|redzone|^mem(?:cpy|set)|sdpa|fmha|flash_", re.IGNORECASE
)
"""Kernels that no convolution of cuDNN launches: they tell nothing of it, though they may stand beside it."""

_LONGEST: Final = 2000
_PATTERNS: Final = [re.compile(rule.pattern) for rule in RULES]
_ONE_WAY: Final = {"fft_tiling": "fft", "winograd_nonfused": "winograd"}
_UNSURE: Final = 0.6


@dataclass(frozen=True)
class Verdict:
    """`algorithm` is None where no rule knows a kernel; then `confidence` is 0. `direction` is that of the op, where it
    was told, else what the names show. `other` is an algorithm that launches kernels of the same names, `kernel` the
    name that decided."""

    algorithm: str | None
    confidence: float
    rule: str | None
    direction: str | None = None
    other: str | None = None
    kernel: str | None = None


UNKNOWN: Final = Verdict(None, 0.0, None)


def classify(kernels: Iterable[str], direction: str | None = None) -> Verdict:
    """The algorithm of one call from the names of its kernels, in any order; `direction` where the op is known.

    The confidence is less where kernels of two ways to compute stand together, and where the names say another
    direction than `direction`.
    """
    return _classified(frozenset(name[:_LONGEST] for name in kernels), direction)


@lru_cache(maxsize=1 << 14)
def _classified(names: frozenset[str], direction: str | None) -> Verdict:
    mine = sorted(name for name in names if not FOREIGN.search(name))
    told = {name: at for name in mine if (at := _rule_of(name)) is not None}
    if not told:
        return UNKNOWN
    kernel = min(told, key=lambda name: told[name])
    rule = RULES[told[kernel]]
    confidence = rule.confidence
    if len({_ONE_WAY.get(RULES[at].family, RULES[at].family) for at in told.values()}) > 1:
        confidence *= _UNSURE
    if direction is not None and rule.direction not in (None, direction):
        confidence *= _UNSURE
    known = FAMILIES[rule.family]
    way = direction or rule.direction
    algorithm = known.get(way or FORWARD)
    if algorithm is None:
        return UNKNOWN
    other = rule.other if rule.direction in (None, way) else None
    return Verdict(algorithm, round(confidence, 3), rule.name, way, other, kernel)


def _rule_of(name: str) -> int | None:
    """Place of the first rule that fits the name."""
    return next((at for at, pattern in enumerate(_PATTERNS) if pattern.search(name)), None)
