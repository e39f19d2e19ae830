"""Documents as analysis makes them, for the tests of what draws them; each fits its contract."""

from __future__ import annotations

from typing import Any

from tftrace.model.layers import LAYERS

FRAMES = (
    "dnnl::impl::primitive_execute",
    "dnnl_primitive_execute",
    "tensorflow::MklConvFwdPrimitive::Execute",
    "tensorflow::MklConvOp::Compute",
    "tensorflow::ThreadPoolDevice::Compute",
    "tensorflow::(anonymous namespace)::SingleThreadedExecutorImpl::Run",
    "tensorflow::KernelAndDeviceFunc::Run",
    "tensorflow::EagerKernelExecute",
    "tensorflow::EagerExecute",
    "TFE_Py_FastPathExecute_C",
)


def entry(layer: str, name: str | None, us: float | None, **more: Any) -> dict[str, Any]:
    return {
        "layer": layer,
        "name": name,
        "where": None,
        "total_us": us,
        "self_us": None,
        "evidence": "measured" if name else None,
        "rule": None,
        "reason": None if name else "not seen",
        **more,
    }


def eager_group(**more: Any) -> dict[str, Any]:
    wrapper = "/venv/lib/python3.11/site-packages/tensorflow/python/ops/gen_nn_ops.py:1234"
    seen = {
        "python": entry("python", "train.py:12", 9812.4, where="/home/user/train.py:12"),
        "api": entry("api", "tf.nn.conv2d", 9800.0, rule="python stack"),
        "gen_op": entry("gen_op", "gen_nn_ops.conv2d", 9790.0, where=wrapper, rule="python stack"),
        "runtime": entry(
            "runtime",
            "TFE_Py_FastPathExecute",
            9700.0,
            rule="python stack",
            names=[
                "TFE_Py_FastPathExecute",
                "EagerExecute",
                "EagerLocalExecute: Conv2D",
                "KernelAndDeviceFunc::Run",
            ],
        ),
        "kernel": entry("kernel", "Conv2D:MklConvOp", 9000.0, rule="range id"),
        "stream_executor": entry(
            "stream_executor", None, None, reason="it runs on GPU devices only, and this run used none"
        ),
        "library": entry(
            "library",
            "convolution",
            8700.0,
            rule="native stack",
            evidence="joined",
            evidence_counts={"measured": 18, "joined": 2},
        ),
        "device": entry("device", "convolution", 8100.0, rule="overlap", evidence="inferred"),
    }
    return {
        "count": 20,
        "mode": "eager",
        "device": "/device:CPU:0",
        "op": "Conv2D",
        "python": {
            "file": "/home/user/train.py",
            "line": 12,
            "code": "    y = tf.nn.conv2d(x, w, 1, 'SAME')",
        },
        "caller": None,
        "callers": [{"file": "/home/user/train.py", "line": 40, "code": "step(batch)"}],
        "chain": [seen[layer] for layer in LAYERS],
        "library": {
            "name": "oneDNN",
            "version": "v3.7.0",
            "call": "convolution",
            "algorithm": "convolution_direct",
            "implementation": "brg_conv_fwd:avx512_core",
            "engine": None,
            "knobs": None,
            "problem": None,
            "workspace_bytes": None,
        },
        "native_stack": [
            {"kind": "native", "function": f, "file": None, "line": None, "module": "libtensorflow_cc.so.2"}
            for f in FRAMES
        ],
        "library_calls": [
            {
                "call": "convolution",
                "implementation": "brg_conv_fwd:avx512_core",
                "count": 20,
                "total_us": 8000.0,
            },
            {"call": "reorder", "implementation": "jit:uni", "count": 20, "total_us": 700.0},
        ],
        "total_us": 9812.4,
        "cpu_us": 8100.0,
        "shapes": "[[8, 32, 32, 3], [3, 3, 3, 16]]",
        "dtypes": '["float32", "float32"]',
        "evidence_counts": {"measured": 138, "joined": 2, "inferred": 20},
        **more,
    }


def function_group() -> dict[str, Any]:
    group = eager_group(
        mode="function", count=2, caller={"file": "/home/user/train.py", "line": 41, "code": "step(x)"}
    )
    chain = [dict(e) for e in group["chain"]]
    chain[3] |= {
        "name": "TFE_Py_Execute",
        "names": ["TFE_Py_Execute", "FunctionRun", "ExecutorState::Process"],
    }
    for layer in (0, 1, 2):
        chain[layer]["total_us"] = None
    return {**group, "chain": chain}


def why(*groups: dict[str, Any]) -> dict[str, Any]:
    return {"pattern": "conv2d", "trace": "train-20261124-044012", "groups": list(groups or (eager_group(),))}


def summary(**more: Any) -> dict[str, Any]:
    layers = [
        {
            "layer": layer,
            "events": 0 if layer == "stream_executor" else 120,
            "total_us": None if layer == "stream_executor" else 12345.6 - 1000 * i,
            "self_us": None if layer == "stream_executor" else 1000.0,
            "status": {"stream_executor": "unobserved", "kernel": "partly"}.get(layer, "observed"),
            "reason": {
                "stream_executor": "it runs on GPU devices only, and this run used none",
                "kernel": "seen in 20 of 40 executions; tf_profiler partly: 300 op calls outside",
            }.get(layer),
        }
        for i, layer in enumerate(LAYERS)
    ]
    rows = [
        {"op": "Conv2D", "count": 20, "total_us": 9812.4, "self_us": 9812.4, "warm_up_us": 3000.0},
        {"op": "Relu", "count": 20, "total_us": 512.0, "self_us": 512.0, "warm_up_us": 100.0},
        {"op": "__inference_step_12", "count": 2, "total_us": 1512.0, "self_us": 200.0, "warm_up_us": None},
    ]
    lost = [{"probe": "tf_profiler", "what": "op calls outside its windows", "count": 300}]
    return {"layers": layers, "rows": rows, "lost": lost, **more}


def algorithms() -> dict[str, Any]:
    problem = {
        "op": "Conv2D",
        "direction": "forward",
        "input": [8, 32, 32, 3],
        "filter": [3, 3, 3, 16],
        "output": [8, 32, 32, 16],
        "strides": [1, 1],
        "padding": "SAME",
        "groups": 1,
        "layout": "NHWC",
        "dtype": "f32",
    }
    candidate = {
        "algorithm": "convolution_direct",
        "engine": None,
        "knobs": None,
        "implementation": "brg_conv_fwd:avx512_core",
        "time_us": 401.5,
        "workspace_bytes": None,
        "status": "ok",
        "chosen": True,
        "source": "onednn_verbose",
        "evidence": "measured",
    }
    other = {
        **candidate,
        "algorithm": "convolution_winograd",
        "chosen": False,
        "time_us": 512.0,
        "status": "failed",
    }
    return {
        "problems": [
            {
                "problem": problem,
                "device": "/device:CPU:0",
                "library": "oneDNN",
                "calls": 20,
                "chosen": "convolution_direct",
                "margin_us": 110.5,
                "candidates": [candidate, other],
            }
        ]
    }


def listing() -> list[dict[str, Any]]:
    return [
        {
            "name": "train-20261124-044012",
            "path": "traces/train-20261124-044012",
            "when": "2026-11-24T04:40:12+00:00",
            "script": "train.py",
            "exit_status": 0,
            "versions": {"tensorflow": "2.21.0"},
            "ops": 42,
            "events": 12345,
            "bytes": 1_234_567,
            "synthetic": False,
        },
        {
            "name": "gpu",
            "path": "traces/gpu",
            "when": None,
            "script": "conv.py",
            "exit_status": 137,
            "versions": {},
            "ops": None,
            "events": None,
            "bytes": 99,
            "synthetic": True,
        },
    ]


def failure() -> dict[str, Any]:
    """A run whose tensor lies in another graph than its session's."""

    def line(number: int, code: str) -> dict[str, Any]:
        return {"python": {"file": "/home/user/train.py", "line": number, "code": code}, "api": "tflearn.DNN"}

    graphs = [{"graph": f"graph {n}", "graph_id": n, **line(10 + n, "tf.Graph()")} for n in (1, 2)]
    return {
        "what": "Tensor.eval", "error": "ValueError", "message": "another graph", "pid": 7, "callers": [],
        **line(23, "model.evaluate(x, y)"), "other_graph": True,
        "session": {"session_id": 1, **line(19, "model = tflearn.DNN(net)"), "graph": graphs[1]},
        "tensors": [{"name": "Assign_1:0", **line(5, "import tflearn"), "graph": graphs[0]}],
    }  # fmt: skip
