"""Small traces made in memory for the tests of the views, shaped as ingest and correlate write them."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from tftrace.model.layers import LAYERS
from tftrace.model.schemas import TABLES
from tftrace.model.trace import Trace

EPOCH = 1_760_000_000_123_456_789
PID = 4242
MANIFEST: dict[str, Any] = {
    "format_version": 1,
    "argv": ["train.py"],
    "exit_status": 0,
    "versions": {"tensorflow": "2.21.0"},
    "processes": [{"pid": PID, "threads": {"4250": "tf_compute"}}],
    "probes": [
        {"name": "dispatch", "status": "ok", "reason": None, "events": 10, "lost": 0},
        {"name": "tf_profiler", "status": "off", "reason": "--no-tf_profiler", "events": None, "lost": None},
        {"name": "itt", "status": "ok", "reason": None, "events": 10, "lost": 0},
    ],
}  # fmt: skip


class Builder:
    """Collects rows, then makes a `Trace`; ids count in the order of adding, times are ns from `EPOCH`."""

    def __init__(self, **manifest: Any) -> None:
        self.manifest = {**MANIFEST, **manifest}
        self.rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}

    def event(self, layer: str | None, name: str, start: int, dur: int | None, **more: Any) -> int:
        attrs = more.pop("attrs", None)
        row = {
            "event_id": len(self.rows["events"]),
            "layer": layer,
            "name": name,
            "start_ns": EPOCH + start,
            "dur_ns": dur,
            "host": "box",
            "pid": PID,
            "tid": PID,
            "attrs": attrs if isinstance(attrs, str) or attrs is None else json.dumps(attrs),
            **more,
        }
        self.rows["events"].append(row)
        return int(row["event_id"])

    def link(self, parent: int, child: int, rule: str, evidence: str = "measured") -> None:
        self.rows["links"].append(
            {"parent_id": parent, "child_id": child, "rule": rule, "evidence": evidence}
        )

    def site(self, op: str, **more: Any) -> int:
        site_id = len(self.rows["sites"])
        self.rows["sites"].append({"site_id": site_id, "op": op, "mode": "eager", **more})
        return site_id

    def call(self, site: int, start: int, total: int, events: list[int], **more: Any) -> int:
        call_id = len(self.rows["calls"])
        device = "/job:localhost/replica:0/task:0/device:CPU:0"
        row = {"call_id": call_id, "site_id": site, "start_ns": EPOCH + start, "total_ns": total}
        times: dict[
            str, int
        ] = {}  # as correlate fills them: a layer that an execution shows has a time in it
        for event in events:
            layer, dur = self.rows["events"][event]["layer"], self.rows["events"][event]["dur_ns"]
            times[f"{layer}_total_ns"] = times.get(f"{layer}_total_ns", 0) + (dur or 0)
        self.rows["calls"].append(
            {"device": device, "status": "ok", "warm_up": False, **times, **row, **more}
        )
        self.rows["event_calls"] += [{"event_id": e, "call_id": call_id, "share": 1.0} for e in events]
        return call_id

    def stack(self, kind: str, *functions: str) -> int:
        stack_id = len(self.rows["stacks"])
        frames = [{"kind": kind, "function": f, "module": "libtensorflow_cc.so.2"} for f in functions]
        self.rows["stacks"].append({"stack_id": stack_id, "frames": frames})
        return stack_id

    def trace(self) -> Trace:
        tables = {name: pa.Table.from_pylist(rows, schema=TABLES[name]) for name, rows in self.rows.items()}
        events = tables["events"].sort_by("start_ns") if self.rows["events"] else tables["events"]
        return Trace(self.manifest, {**tables, "events": events})


CONV_FRAMES = (
    "dnnl::impl::primitive_execute(dnnl::impl::primitive_iface_t const*, dnnl::impl::exec_ctx_t&)",
    "void tensorflow::MklConvFwdPrimitive<float, float, float, float>::Execute(float const*, void*)",
    "tensorflow::MklConvOp<Eigen::ThreadPoolDevice, float, float, float, false>::Compute"
    "(tensorflow::OpKernelContext*)",
    "tensorflow::KernelAndDeviceFunc::Run(tensorflow::ScopedStepContainer*)",
    "TFE_Py_FastPathExecute_C(_object*)",
)


def add_eager_conv(b: Builder, site: int, stack: int, at: int, **attrs: Any) -> dict[str, int]:
    """One eager `tf.nn.conv2d` at `at` ns: python, api, gen op, runtime, oneDNN and a worker's share."""
    line = b.event("python", "train.py:12", at, 90_000, stack_id=None)
    api = b.event("api", "tf.nn.conv2d", at + 1, 89_990)
    shapes = {"shapes": [[8, 32, 32, 3], [3, 3, 3, 16]], "dtypes": ["float32", "float32"]}
    gen = b.event("gen_op", "gen_nn_ops.conv2d", at + 2, 89_980)
    runtime = b.event("runtime", "TFE_Py_FastPathExecute", at + 9_000, 80_000, attrs=shapes)
    impl = {"implementation": "brg_conv_fwd:avx512_core", "algorithm": "convolution_direct", **attrs}
    library = b.event("library", "convolution", at + 30_000, 50_000, stack_id=stack, probe="itt", attrs=impl)
    share = b.event("device", "convolution", at + 31_000, 45_000, tid=4250)
    for parent, child in ((line, api), (api, gen), (gen, runtime)):
        b.link(parent, child, "python stack")
    b.link(runtime, library, "range id")
    b.link(library, share, "overlap", "inferred")
    b.call(
        site,
        at,
        90_000,
        [line, api, gen, runtime, library, share],
        shapes=json.dumps(shapes["shapes"]),
        dtypes=json.dumps(shapes["dtypes"]),
        op_attrs=json.dumps({"strides": [1, 1, 1, 1], "padding": "SAME"}),
        warm_up=at == 0,
    )
    names = ("python", "api", "gen_op", "runtime", "library", "device")
    return dict(zip(names, (line, api, gen, runtime, library, share), strict=True))


def conv_site(b: Builder, **more: Any) -> int:
    return b.site(
        "Conv2D",
        **{
            "api": "tf.nn.conv2d",
            "gen_op": "gen_nn_ops.conv2d",
            "python_file": "/home/user/project/train.py",
            "python_line": 12,
            "python_code": "    y = tf.nn.conv2d(x, w, 1, 'SAME')",
            "callers": json.dumps(
                [{"file": "/home/user/project/train.py", "line": 40, "code": "step(batch)"}]
            ),
            **more,
        },
    )


def eager_convs(n: int = 3, **manifest: Any) -> Trace:
    """`n` eager convolutions of one line, 100 us apart."""
    b = Builder(**manifest)
    site, stack = conv_site(b), b.stack("native", *CONV_FRAMES)
    for i in range(n):
        add_eager_conv(b, site, stack, 100_000 * i)
    return b.trace()


def function_run() -> Trace:
    """A `tf.function` that holds a convolution, run twice; its kernel runs on another thread."""
    b = Builder()
    stack = b.stack("native", *CONV_FRAMES)
    graph = "__inference_step_12"
    node = conv_site(b, mode="function", graph=graph, node="Conv2D", trace_us=1234.5)
    step = b.site(
        graph, mode="function", python_file="/home/user/project/train.py", python_line=40,
        python_code="step(batch)",
    )  # fmt: skip
    for i in range(2):
        at = i * 400_000
        line = b.event("python", "train.py:40", at, 300_000)
        entry = b.event("runtime", "TFE_Py_Execute", at + 10_000, 280_000)
        run = b.event("runtime", "FunctionRun", at + 20_000, 260_000, attrs={"id": 7 + i, "_pt": 2, "_p": i})
        process = b.event("runtime", "ExecutorState::Process", at + 60_000, 150_000, tid=4250)
        kernel = b.event("kernel", "Conv2D:_MklNativeConv2D", at + 70_000, 120_000, tid=4250)
        impl = {"implementation": "jit:avx2", "algorithm": "convolution_winograd"}
        library = b.event("library", "convolution", at + 90_000, 80_000, tid=4250, stack_id=stack, attrs=impl)
        b.link(line, entry, "python stack")
        b.link(entry, run, "containment", "joined")
        b.link(run, process, "step id")
        b.link(process, kernel, "containment", "joined")
        b.link(kernel, library, "native stack")
        b.event(None, "close profile window", at + 310_000, 50_000)
        outer = b.call(step, at, 300_000, [line, entry, run, process], step=i)
        b.call(node, at + 70_000, 120_000, [kernel, library], parent_call_id=outer, step=i)
    return b.trace()


def many(n: int, seed: int = 0) -> Trace:
    """`n` short events of uneven length on two threads."""
    random = np.random.default_rng(seed)
    dur = random.lognormal(6.5, 1.2, n).astype(np.int64) + 1
    tid = np.where(np.arange(n) % 2, 4242, 4250)
    start = np.zeros(n, np.int64)
    for thread in (4242, 4250):
        mine = tid == thread
        start[mine] = np.cumsum(dur[mine] + random.integers(1, 900, int(mine.sum()))) - dur[mine]
    order = np.argsort(start, kind="stable")
    names = np.array(["MatMul", "Conv2D", "Relu", "Add"])[random.integers(0, 4, n)]
    events = pa.table(
        {
            "event_id": np.arange(n),
            "layer": pa.array(["kernel"] * n),
            "name": pa.array(names[order].tolist()),
            "start_ns": EPOCH + start[order],
            "dur_ns": dur[order],
            "pid": np.full(n, 4242, np.int32),
            "tid": tid[order],
        }
    )
    return Trace(MANIFEST, {"events": events})


def hostile() -> Trace:
    """Names that attack the page: markup, reordering marks, NULs, a megabyte, broken UTF-8."""
    b = Builder(
        probes=[
            {"name": "<img src=x onerror=alert(1)>", "status": "failed", "reason": "</script><script>bad()"}
        ]
    )
    names = [
        "</script><script>window.pwned=1</script>",
        "<img src=x onerror=window.pwned=1>",
        "\u202egnp.exe\u202c",
        "nul\x00inside",
        "M" * 1_000_000,
        "<b>bold</b>&lt;i&gt;<a href='javascript:window.pwned=1'>x</a>",
        "{{constructor.constructor('window.pwned=1')()}}",
    ]
    site = b.site(
        names[0], api=names[1], gen_op=names[2], python_file=names[5], python_line=1, python_code=names[0],
        callers=json.dumps([{"file": names[1], "line": 3, "code": names[5]}]), graph=names[1], node=names[3],
    )  # fmt: skip
    stack = b.stack("native", *names)
    events = [
        b.event(LAYERS[i], name, i, 1_000 - 2 * i, stack_id=stack, attrs={"shapes": name, "algorithm": name})
        for i, name in enumerate(names)
    ]
    events.append(
        b.event("device", "surrogate", 500, 100, attrs='{"algorithm": "\\ud800 lone", "shapes": 1e400}')
    )
    for parent, child in pairwise(events):
        b.link(parent, child, names[0], names[1])
    b.call(site, 0, 1_000, events, shapes=names[1], dtypes=names[3], device=names[0], op_attrs=names[2])
    trace = b.trace()
    # A name whose bytes are no UTF-8, as a damaged file would hold it.
    table = trace.tables["events"]
    raw = [n.encode() for n in table["name"].to_pylist()]
    raw[-1] = b"broken \xed\xa0\x80 \xff utf-8"
    broken = _as_text(raw)
    at = table.schema.get_field_index("name")
    return Trace(trace.manifest, {**trace.tables, "events": table.set_column(at, "name", broken)})


def _as_text(raw: list[bytes]) -> pa.Array:
    """A text column over bytes that nobody checked."""
    binary = pa.array(raw, pa.binary())
    return pa.Array.from_buffers(pa.string(), len(raw), binary.buffers())
