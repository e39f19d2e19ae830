"""How control gets from one layer to the next, where the source shows no call: virtual functions, registries, dlopen.

A hop is told only where the run's own native stack holds both of its ends. That they were reached is measured; by which
mechanism is TensorFlow's design, which a stack does not show, and is said to be so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

BASIS = "both ends: this run's native stack; the mechanism: TensorFlow's source, 2.12 to 2.21"
_NEAR = 4
"""Frames that may lie between the ends of a hop: what the compiler inlined in one build stands there in another."""


@dataclass(frozen=True)
class Hop:
    """One step of a native stack that no static call explains. `caller` and `callee` are functions of the stack."""

    caller: str
    callee: str
    mechanism: str
    how: str
    basis: str = BASIS


@dataclass(frozen=True)
class _Rule:
    caller: re.Pattern[str]
    callee: re.Pattern[str]
    mechanism: str
    how: str


def _rule(caller: str, callee: str, mechanism: str, how: str) -> _Rule:
    return _Rule(re.compile(caller), re.compile(callee), mechanism, how)


_RULES = (
    _rule(
        r"^TFE_Py_(FastPathExecute|Execute)",
        r"^TFE_Execute|EagerOperation::Execute$",
        "Python extension",
        "The generated wrapper calls {caller} of TensorFlow's extension module; from here on there is no "
        "Python. The op is known by its name alone: which code will run it is not decided yet.",
    ),
    _rule(
        r"EagerKernelExecute$",
        r"KernelAndDevice\w*::Run$",
        "kernel registry",
        "The eager runtime asked the registry for a kernel by op name, device type and dtypes "
        "(REGISTER_KERNEL_BUILDER put it there when the library was loaded) and cached it as a "
        "KernelAndDevice; a wrapper and its kernel never name each other.",
    ),
    _rule(
        r"KernelAndDeviceFunc::Run$",
        r"FunctionLibraryRuntime(Impl)?::Run",
        "function of one node",
        "An eager op runs as a function of one node, the way a tf.function would: through the function "
        "library runtime and an executor.",
    ),
    _rule(
        r"ThreadPoolTempl::\w+$|WorkerLoop$",
        r"ExecutorState::(Process|RunTask)",
        "closure on a thread pool",
        "The executor handed the ready node to a pool as a closure, so this thread's stack begins here: "
        "who asked is not on it, and is joined by TensorFlow's producer and step ids instead.",
    ),
    _rule(
        r"(ThreadPoolDevice|BaseGPUDevice|^Device|::Device)::Compute(Async)?$",
        r"::Compute(Async)?$",
        "virtual call",
        "The device calls OpKernel::Compute of the node's kernel, a virtual function: which class that is"
        " was decided by the registry when the node's kernel was made.",
    ),
    _rule(
        r"(SingleThreadedExecutorImpl::Run|ExecutorState::Process)$",
        r"(?<!Device)::Compute(Async)?$",
        "virtual call",
        "The executor calls OpKernel::Compute of the node's kernel, a virtual function: which class that "
        "is was decided by the registry when the node's kernel was made.",
    ),
    _rule(
        r"Autotune\w*Conv|LaunchConvOpImpl|ConvAutotun\w*|ConvRunner|GpuConv\w*|PickBest\w*",
        r"CudnnSupport::\w+",
        "registered factory, virtual call",
        "The convolution asks its StreamExecutor for DNN support (AsDnn()) and gets a pointer to "
        "dnn::DnnSupport. The object behind it was made by the factory that the CUDA platform registered "
        "when the library was loaded; the call is virtual. This is the step that no search of the source "
        "finds.",
    ),
    _rule(
        r"Launch\w*Conv\w*|Autotune\w*Conv\w*|Conv\w*Thunk|RunGpuConv\w*|ThunkExecutor",
        r"CudnnExecutionPlanRunner::operator\(\)|Cudnn\w*Runner::operator\(\)",
        "virtual call",
        "What the autotuner keeps for a problem is a runner (dnn::OpRunner) around a finished execution "
        "plan of cuDNN; it is called through the base class.",
    ),
    _rule(
        r"MklConv\w*::Compute|Mkl\w+Primitive::Execute|Mkl\w+Op::Compute",
        r"^dnnl::primitive::execute|^dnnl_primitive_execute",
        "static library",
        "oneDNN is linked into TensorFlow's own library, so this is a direct call; the primitive behind "
        "it was made once for the problem, and its implementation was chosen then, by what the processor "
        "can do.",
    ),
    _rule(
        r"^dnnl_primitive_execute|dnnl::impl::primitive_execute",
        r"dnnl::impl::(cpu|stream|primitive)\w*::",
        "virtual call",
        "oneDNN calls execute() of the implementation it picked for the problem.",
    ),
)
_TRAMPOLINE = _rule(
    r".",
    r"^cudnn[A-Z]",
    "trampoline, dlopen and dlsym",
    "TensorFlow is not linked against cuDNN. {callee} is a trampoline inside libtensorflow_framework "
    "that jumps through a pointer; the first call of any of them loads libcudnn with dlopen and fills"
    " the pointers by name. tftrace stands at that pointer.",
)


_ACROSS = Hop(
    "gRPC CreateCall",
    "Session::Run",
    "another process, virtual calls, a thread",
    "Python has sent the computation with its graphs, and now names function and argument by number. The worker's "
    "service passes that down a stack of executors, each behind one interface; the last, TensorFlowExecutor, runs a "
    "graph in a session, on a thread of its own.",
    "both ends: this run's requests and the worker's log, joined by time; the mechanism: TensorFlow Federated 0.87",
)


def hops(frames: Sequence[Mapping[str, Any]], call: str | None, runtime: Sequence[str] = ()) -> list[Hop]:
    """The hops on a native stack, outermost first; before them that to another process, where `runtime`, the names of
    that layer, shows one.

    `frames` are those of `native_stack` in the why contract, innermost first; `call` is the library function that the
    innermost of them called, None where the stack itself ends in it.
    """
    names = [str(f["function"]) for f in reversed(frames) if f.get("kind") == "native"]
    found: dict[int, Hop] = {}
    for rule in _RULES:
        for at, caller in enumerate(names):
            if not rule.caller.search(caller):
                continue
            inner = next(
                (i for i in range(at + 1, min(at + 2 + _NEAR, len(names))) if rule.callee.search(names[i])),
                None,
            )
            if inner is not None and inner not in found:
                found[inner] = _told(rule, caller, names[inner])
                break
    across = [_ACROSS] if {_ACROSS.caller, _ACROSS.callee} <= set(runtime) else []
    result = across + [found[at] for at in sorted(found)]
    if names and call and _TRAMPOLINE.callee.search(call):
        result.append(_told(_TRAMPOLINE, names[-1], call))
    return result


def _told(rule: _Rule, caller: str, callee: str) -> Hop:
    how = rule.how.replace("{caller}", caller.rsplit("::", 1)[-1]).replace("{callee}", callee)
    return Hop(caller, callee, rule.mechanism, how)
