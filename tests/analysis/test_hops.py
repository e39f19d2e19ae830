"""Which steps of a native stack are told as hops, on stacks as TensorFlow 2.21 makes them."""

from __future__ import annotations

from tftrace.analysis.hops import hops

EAGER = (
    "TFE_Py_FastPathExecute_C",
    "TFE_Execute",
    "tensorflow::EagerExecute",
    "tensorflow::EagerKernelExecute",
    "tensorflow::KernelAndDeviceFunc::Run",
    "tensorflow::ProcessFunctionLibraryRuntime::RunSync",
    "tensorflow::FunctionLibraryRuntimeImpl::RunSync",
    "tensorflow::(anonymous namespace)::SingleThreadedExecutorImpl::Run",
)
ON_GPU = (
    *EAGER,
    "tensorflow::BaseGPUDevice::Compute",
    "tensorflow::Conv2DOp::Compute",
    "tensorflow::LaunchConvOpImpl",
)
COLD = (*ON_GPU, "tensorflow::AutotuneUnfusedConv", "stream_executor::gpu::CudnnSupport::GetConvolveRunners")
WARM = (
    *ON_GPU,
    "tensorflow::LaunchAutotunedConv",
    "stream_executor::gpu::CudnnExecutionPlanRunner::operator()",
)
ON_CPU = (
    *EAGER, "tensorflow::ThreadPoolDevice::Compute", "tensorflow::MklConvOp::Compute",
    "tensorflow::MklConvFwdPrimitive::Execute", "dnnl::primitive::execute", "dnnl_primitive_execute",
)  # fmt: skip


def told(outermost_first: tuple[str, ...], call: str | None) -> list[tuple[str, str]]:
    frames = [{"kind": "native", "function": name} for name in reversed(outermost_first)]
    return [(hop.mechanism, hop.callee.rsplit("::", 2)[-1]) for hop in hops(frames, call)]


def test_a_warm_convolution_on_a_gpu_ends_in_the_trampoline() -> None:
    assert told(WARM, "cudnnBackendExecute") == [
        ("Python extension", "TFE_Execute"),
        ("kernel registry", "Run"),
        ("function of one node", "RunSync"),
        ("virtual call", "Compute"),
        ("virtual call", "operator()"),
        ("trampoline, dlopen and dlsym", "cudnnBackendExecute"),
    ]


def test_a_cold_one_shows_where_dnn_support_comes_from() -> None:
    assert ("registered factory, virtual call", "GetConvolveRunners") in told(COLD, "cudnnBackendFinalize")


def test_on_a_cpu_the_library_is_part_of_tensorflow() -> None:
    assert told(ON_CPU, "convolution")[-1] == ("static library", "execute")


def test_a_pool_thread_begins_with_the_closure() -> None:
    stack = (
        "Eigen::ThreadPoolTempl::WorkerLoop",
        "tensorflow::(anonymous namespace)::ExecutorState::Process",
    )
    assert told(stack, None) == [("closure on a thread pool", "Process")]


def test_ends_too_far_apart_are_no_hop() -> None:
    stack = (
        "tensorflow::EagerKernelExecute",
        *(f"f{i}" for i in range(8)),
        "tensorflow::KernelAndDeviceFunc::Run",
    )
    assert told(stack, None) == []


def test_no_stack_no_hops_even_where_the_call_is_known() -> None:
    assert hops([], "cudnnBackendExecute") == []
    assert hops([{"kind": "python", "function": "TFE_Execute"}], "cudnnBackendExecute") == []


def test_a_request_to_another_process_comes_before_its_stack() -> None:
    frames = [
        {"kind": "native", "function": name} for name in ("tensorflow::MklConvOp::Compute", "Device::Compute")
    ]
    runtime = ["computation total", "gRPC CreateCall", "Session::Run"]
    assert [(h.caller, h.callee) for h in hops(frames, None, runtime)] == [
        ("gRPC CreateCall", "Session::Run"), ("Device::Compute", "tensorflow::MklConvOp::Compute"),
    ]  # fmt: skip
    assert len(hops(frames, None, runtime[:2])) == 1
