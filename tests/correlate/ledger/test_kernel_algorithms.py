"""Kernel names tell the algorithm: names of cuDNN 7 to 9 of every generation of GPUs, and never by guessing."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tftrace.correlate.ledger.kernel_algorithms import FAMILIES, RULES, UNKNOWN, classify

# names as profiles of cuDNN 7 to 9 on Kepler to Hopper have them
KNOWN = [
    ("implicit_convolve_sgemm<float, float, 1024, 5, 5, 3, 3, 3, 1, false>(int)", "IMPLICIT_GEMM", "forward"),
    ("cudnn_convolve_sgemm_sm35_ldg_nn_64x16x64x16x16", "IMPLICIT_GEMM", "forward"),
    ("void implicit_convolveNd_sgemm<__nv_bfloat16, 3, 1024>(int)", "IMPLICIT_GEMM", "forward"),
    ("_Z26precomputed_convolve_sgemmIfLi128ELi5ELi5EEviii", "IMPLICIT_PRECOMP_GEMM", "forward"),
    ("cudnn_convolve_precomputed_sgemm_sm35_ldg_nn_64x8x256x8x32", "IMPLICIT_PRECOMP_GEMM", "forward"),
    ("maxwell_scudnn_128x64_mobile_relu_interior_nn_v0", "IMPLICIT_PRECOMP_GEMM", "forward"),
    ("turing_s1688cudnn_fp16_256x128_ldg8_relu_f2f_exp_interior_nhwc_tn_v1", "IMPLICIT_PRECOMP_GEMM", "forward"),
    ("volta_scudnn_128X32_3dconv_fprop_small_nn_v1", "IMPLICIT_PRECOMP_GEMM", "forward"),
    ("volta_int8x4_icudnn_int8x4_128x128_ldg4_relu_exp_small_nhwc_tn_v1", "IMPLICIT_PRECOMP_GEMM", "forward"),
    ("sm80_xmma_fprop_implicit_gemm_indexed_f16f16_f16f32_f32_nhwckrsc_nhwc_tilesize128x64x64_stage3",
     "IMPLICIT_PRECOMP_GEMM", "forward"),
    ("void cutlass__5x_cudnn::Kernel<cutlass_tensorop_s1688fprop_optimized_tf32_64x64_32x4_nhwc_align4>(P)",
     "IMPLICIT_PRECOMP_GEMM", "forward"),
    ("void xmma_cudnn::gemm::kernel<xmma_cudnn::implicit_gemm::fprop_indexed::Kernel_traits<x> >(P)",
     "IMPLICIT_PRECOMP_GEMM", "forward"),
    ("void cudnn::cnn::im2col4d_kernel<float, long>(cudnn::cnn::im2col4d_params)", "GEMM", "forward"),
    ("void explicit_convolve_sgemm<float, int, 1024, 5, 5, 3, 3, 3, 0, false>(int)", "GEMM", "forward"),
    ("void cudnn::detail::dgrad2d_alg1_1<float, 0, 6, 7, 5, 4, 5, true, true>(int)", "ALGO_1", "backprop_input"),
    ("void cudnn::detail::dgrad_alg1_engine<float, 128, 5, 5, 3, 3, 3, false, false>(int)", "ALGO_1", "backprop_input"),
    ("void cudnn::detail::dgrad_engine<float, 512, 6, 5, 3, 3, 3, false>(int)", "ALGO_0", "backprop_input"),
    ("turing_scudnn_128x128_stridedB_small_nn_v1", "ALGO_1", "backprop_input"),
    ("volta_s884cudnn_fp16_256x64_ldg8_dgrad_f2f_exp_small_nhwc_tt_v1", "ALGO_1", "backprop_input"),
    ("sm80_xmma_dgrad_implicit_gemm_indexed_f16f16_f16f32_f32_nhwckrsc_nhwc_tilesize64", "ALGO_1", "backprop_input"),
    ("_ZN5cudnn3cnn17wgrad_alg0_engineIfLi128ELi5ELi5ELi3ELi3ELi3ELb0ELi512EEEviii", "ALGO_0", "backprop_filter"),
    ("void cudnn::cnn::wgrad_alg1_engine<float, float, 128, 5, 5, 3, 3, 3, false, false>(int)", "ALGO_1",
     "backprop_filter"),
    ("maxwell_scudnn_128x64_stridedB_splitK_large_nn_v0", "ALGO_1", "backprop_filter"),
    ("volta_s884cudnn_fp16_128x128_ldg8_wgrad_idx_exp_interior_nhwc_nt_v1", "ALGO_1", "backprop_filter"),
    ("_ZN13cutlass_cudnn6KernelINS_4conv6kernel23ImplicitGemmConvolutionINS4_51Conv2dWgradOutputGradientTile", "ALGO_1",
     "backprop_filter"),
    ("fft2d_r2c_16x16 || compute_gemm_pointers(float2**) || maxwell_cgemm_32x32_tn", "FFT", None),
    ("flip_filter<float, float>(float*) || void fft2d_r2c_64x64<float>(float2*) || ampere_cgemm_64x32_tn", "FFT", None),
    ("void fft2d_r2c_32x32<float, false, 1u, true>(float2*) || volta_gcgemm_32x32_nt", "FFT_TILING", None),
    ("void fft2d_r2c_32x32<float, false, 1u, true>(float2*) || void gemv2N_kernel<int, int, float2>(P)", "FFT_TILING",
     None),
    ("void cudnn::maxwell::winograd::winograd3x3Kernel<float, float, 1, 4, 8, true>(P)", "WINOGRAD", None),
    ("ampere_scudnn_winograd_128x128_ldg1_ldg4_relu_tile148t_nt_v1 || cudnn::winograd::generateWinogradTilesKernel",
     "WINOGRAD", None),
    ("void cudnn::winograd_nonfused::winogradForwardData4x4<__half, __half>(P) || volta_h884gemm_64x64_ldg8_nn",
     "WINOGRAD_NONFUSED", None),
    ("void cudnn::winograd_nonfused::winogradForwardData9x9_5x5<float, float>(P) || void "
     "cudnn::winograd_nonfused::winogradWgradDelta9x9_5x5<float, float>(P)", "WINOGRAD_NONFUSED", "backprop_filter"),
]  # fmt: skip
NOT_KNOWN = [
    "volta_sgemm_128x64_nn",  # as likely cuBLAS's
    "void cudnn::bn_fw_tr_1C11_kernel_NCHW<__half, float, 512, true, 1>(cudnnTensorStruct)",
    "void tensorflow::functor::ShuffleInTensor3Simple<float, 2, 1, 0, false>(int)",
    "void at::native::vectorized_elementwise_kernel<4>(int) || nchwToNhwcKernel<__half>(int)",
    "cudnn_generated_fort_native_sdpa_sm80_flash_fprop_wmma_f16_knob_7_64x64x64_4x1x1_cga1x1x1_kernel0_0",
    "void cutlass::Kernel<cutlass_80_tensorop_f16_s16816gemm_f16_64x64_32x6_tn_align8>(P)",
    "triton_poi_fused_add_view_16",
    "redzone_checker",
    "",
    " || ",
    "\x00\x1b[31m",
]


@pytest.mark.parametrize(("line", "algorithm", "direction"), KNOWN, ids=lambda v: str(v)[:40])
def test_names_of_every_generation_tell_the_algorithm(
    line: str, algorithm: str, direction: str | None
) -> None:
    verdict = classify(line.split(" || "))
    assert (verdict.algorithm, verdict.direction) == (algorithm, direction)
    assert 0.4 < verdict.confidence < 1


@pytest.mark.parametrize("line", NOT_KNOWN, ids=lambda v: repr(v)[:40])
def test_what_no_rule_knows_is_null_and_no_guess(line: str) -> None:
    assert classify(line.split(" || ")) == UNKNOWN


@given(st.sampled_from(KNOWN), st.randoms(use_true_random=False))
def test_the_order_of_kernels_and_what_stands_beside_them_change_nothing(
    case: tuple[str, str, str | None], shuffled: random.Random
) -> None:
    names = case[0].split(" || ")
    more = [
        *names,
        "redzone_checker",
        "void nchwToNhwcKernel<__half>(int)",
        "void Eigen::internal::EigenMetaKernel<x>(y)",
    ]
    shuffled.shuffle(more)
    assert classify(more) == classify(names)


@given(st.lists(st.text(max_size=300), max_size=6))
def test_any_text_is_classified_or_not_known(names: list[str]) -> None:
    verdict = classify(names)
    assert (verdict.algorithm is None) == (verdict.rule is None) == (verdict.confidence == 0)


def test_hostile_names_take_no_time() -> None:
    for part in ("cudnn_", "winograd", "xmma:", "a" * 50, "cutlass<"):
        assert classify([part * 200_000]) is not None


def test_kernels_of_two_ways_to_compute_lower_the_confidence() -> None:
    alone = classify(["fft2d_r2c_16x16"])
    mixed = classify(["fft2d_r2c_16x16", "volta_scudnn_128x64_relu_small_nn_v1"])
    assert mixed.algorithm == "FFT"
    assert mixed.confidence < alone.confidence


def test_a_direction_that_is_known_names_the_algorithm_and_doubts_another() -> None:
    fprop = ["sm80_xmma_fprop_implicit_gemm_indexed_f16f16"]
    forward, backward = classify(fprop, "forward"), classify(fprop, "backprop_input")
    assert (forward.algorithm, backward.algorithm) == ("IMPLICIT_PRECOMP_GEMM", "ALGO_1")
    assert backward.confidence < forward.confidence
    assert classify(["im2col4d_kernel"], "backprop_filter") == UNKNOWN  # no such algorithm
    assert classify(["fft2d_r2c_16x16"], "backprop_filter").direction == "backprop_filter"


def test_rules_are_told_apart_and_name_real_algorithms() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule.family in FAMILIES
        assert rule.direction is None or rule.direction in FAMILIES[rule.family]
        assert 0.5 <= rule.confidence < 1
        assert rule.other is None or rule.confidence < 0.96
