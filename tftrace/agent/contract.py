"""What the agent writes below `raw/<host>-<pid>/`, and what it is told by environment.

This module is all that tftrace's other packages know of the agent. It uses the standard library alone and runs on
Python 3.9, like the rest of the agent.

Clocks: every time in a raw record is CLOCK_MONOTONIC_RAW in ns; `clocks.bin` holds the pairs that convert it.
Binary files are little-endian arrays of the fixed records below, grown by the segment and therefore padded with
zeros at the end: a record whose first field is 0 was never written. Text files are JSON, one object a line,
appended with single writes, so a killed process leaves at most one cut line.

| file | content |
|---|---|
| process.json | what the process is (pid, argv, interpreter); written once, when the agent starts |
| status.json | probes, versions, devices, environment, `synthetic` (a stand-in GPU); replaced as they change |
| clocks.bin | CLOCK records |
| dispatch.bin | DISPATCH records: one call from Python, or from a program without it, into the runtime |
| stacks.jsonl | {"key", "frames": [[file, line, function, module(, own)], ..innermost first]}: Python stacks; |
|  | own: class of the object that a method ran on, where it inherited the method; |
|  | "started": key of the stack that started the thread, where it is no pool's |
| metas.jsonl | {"key", "op", "is_function", "inputs": [[dtype, shape], ..], "attrs": {..}, "device"} |
| sessions.jsonl | {"key", "graph", "session", "fetches": [..]}: what a Session.run was asked for |
| graphs.jsonl | {"graph", "name", "kind": "function"/"graph", "function": name in the runtime or null, "t", "stack", |
|  | of a function "inputs", "outputs": names of tensors}; stack: Python stack that made the graph, or null |
| opened.jsonl | {"session", "graph", "class", "stack", "t"}: TensorFlow's sessions, with the stack that opened them |
| failures.jsonl | {"what", "error", "message", "stack", "t", "ns", "tid", "session", "tensors": [[name, graph], ..]}: |
|  | runs of a graph that raised |
| nodes.jsonl | {"graph", "node", "op", "stack", "t", "ns", "calls": [function names], "tid", "from": [names of the |
|  | tensors that it takes]}; "imported": true of a graph that was read |
| optimized.jsonl | {"graph": number of a session's graph, else null, "t", |
|  | "nodes": [[name, op, [inputs], [fused ops]], ..]}: what TensorFlow runs of a graph, |
|  | after its optimizer; "cut": so many nodes were left out; "missed": true for a run that was not seen |
| tracings.jsonl | {"name", "file", "line", "object", "cache", "scope", "graph", "context", "stack", "t", "ns", |
|  | "arguments": [[path, kind, type, more], ..]}: a tracing of a tf.function |
| sourcemaps.jsonl | {"file": generated, "lines": {generated line: [file, line, function]}}: AutoGraph |
| exports.jsonl | {"code": [file, first line, name(, own)], "names": [exported names]} of functions on seen stacks |
| threads.bin | THREAD records |
| itt.bin | ITT records: one task of a library that reports to ITT (oneDNN) |
| itt_names.jsonl | {"id", "name"} of the tasks |
| native_stacks.bin | u64 key, u64 n, n x u64 return addresses, innermost first; repeated |
| maps.txt | /proc/self/maps, replaced whole |
| verbose.bin | "tid t itt line\\n": lines of ONEDNN_VERBOSE; itt: record running then + 1, or 0; zeros between |
| onednn.bin | ONEDNN records: lines that differ from an earlier one in their time alone |
| cudnn.bin | CUDNN records: one call into cuDNN |
| cudnn_data.bin | CUDNN_DATA heads, each with its values behind it, in blocks of CUDNN_BLOCK bytes |
| tf_log.bin | "tid t call level n text\\n": messages that TensorFlow logged, each in whole blocks of 32 bytes; call: |
|  | dispatch record running on the thread + 1, or 0; level: that of VLOG + 1, 0 for LOG; n: bytes of text |
| executor.bin | "tid t file:line] text\\n": what executors log of each node, in a process without Python |
| requests.jsonl | what was sent to TensorFlow Federated's C++ runtime, see `probes.federated` |
| windows.jsonl | {"run", "open", "close", "why", "options", "lost"}: windows of the TensorFlow profiler |
| plugins/profile/<run>/ | the TensorFlow profile of each window, in TensorBoard's layout |
"""

import struct
from typing import NamedTuple, Tuple

FORMAT = 1

ENV_RAW = "TFTRACE_RAW"
"""Absolute path of the trace's raw/ directory; its presence turns the agent on."""
ENV_OPTIONS = "TFTRACE_OPTIONS"
"""JSON object, see `capture.launch`: probes, profile_mb, steps, native, source, redact."""

ENV_NATIVE = "TFTRACE_NATIVE"
"""Names of the probes that a process without Python has from its start, where the native library is preloaded."""

ENVIRONMENT = (  # all that is ever stored of the environment
    "CUDA_VISIBLE_DEVICES", "TF_CPP_MIN_LOG_LEVEL", "TF_CUDNN_DETERMINISTIC", "TF_CUDNN_USE_AUTOTUNE",
    "TF_DETERMINISTIC_OPS", "TF_ENABLE_ONEDNN_OPTS", "TF_FORCE_GPU_ALLOW_GROWTH", "TF_NUM_INTEROP_THREADS",
    "TF_NUM_INTRAOP_THREADS", "TF_USE_LEGACY_KERAS", "TF_XLA_FLAGS", "XLA_FLAGS", "KERAS_BACKEND", "OMP_NUM_THREADS",
    "ONEDNN_MAX_CPU_ISA", "ONEDNN_DEFAULT_FPMATH_MODE", "DNNL_MAX_CPU_ISA", "DNNL_DEFAULT_FPMATH_MODE",
    "NVIDIA_TF32_OVERRIDE", "TF_CUDNN_USE_FRONTEND", "TF_CUDNN_WORKSPACE_LIMIT_IN_MB", "TF_AUTOTUNE_THRESHOLD",
    "TF_ENABLE_CUDNN_TENSOR_OP_MATH_FP32", "TF_ENABLE_CUBLAS_TENSOR_OP_MATH_FP32", "PYTHONHASHSEED",
)  # fmt: skip

OLDEST_TENSORFLOW = (2, 12)
"""The oldest that is traced."""

REPLAY_MARKER = "tftrace_replay"
"""Begins the lines that a replay writes between those of oneDNN: `marker,begin|steady|end,key`."""

PROBES = (
    "dispatch", "graph", "grappler", "tf_profiler", "nvtx", "onednn", "itt", "cudnn", "stream_executor",
    "executor_log", "federated",
)  # fmt: skip
WHERE_IT_APPLIES = ("executor_log", "federated")
"""Probes of special runtimes: a run in which no process has anything to do with those does not speak of them."""


class Field(NamedTuple):
    name: str
    code: str  # struct and numpy type code, without byte order


class Record:
    """A fixed record: `struct` for the writer in Python, `dtype` description for numpy in the reader."""

    def __init__(self, *fields: Field) -> None:
        self.fields = fields
        self.struct = struct.Struct(
            "<" + "".join({"u8": "Q", "i8": "q", "f8": "d", "u4": "I", "u2": "H"}[f.code] for f in fields)
        )
        self.size = self.struct.size
        self.dtype = [(f.name, "<" + f.code) for f in fields]


CLOCK = Record(Field("raw", "i8"), Field("realtime", "i8"), Field("monotonic", "i8"))

DISPATCH = Record(
    Field("t0", "i8"),
    Field("t1", "i8"),  # 0: still inside when the process ended
    Field("stack", "u8"),
    Field("meta", "u8"),
    Field("parent", "u8"),  # enclosing record on this thread: index + 1, or 0
    Field("tid", "u4"),
    Field("own_ns", "u4"),  # what tftrace spent before t0 and after t1, where it was timed
    Field("kind", "u2"),  # ENTRIES
    Field("status", "u2"),  # STATUS
    Field("spare", "u4"),
    Field("step", "u8"),  # graph executions begun in this process so far
)
ENTRIES = (
    "TFE_Py_FastPathExecute",
    "TFE_Py_Execute",
    "TFE_Py_ExecuteCancelable",
    "TF_SessionRun",
    "TFE_Execute",
    "Session::Run",
)
"""The last two, and TF_SessionRun there: called by a program without Python. Session::Run is told by its log."""
STATUS = ("open", "ok", "raised", "fallback")
"""`fallback`: the fast path declined, and the same op comes again through TFE_Py_Execute; not an execution."""

ITT = Record(
    Field("t0", "i8"),
    Field("t1", "i8"),
    Field("stack", "u8"),
    Field("call", "u8"),  # DISPATCH record running on this thread: index + 1, or 0
    Field("tid", "u4"),
    Field("name", "u4"),
    Field("depth", "u2"),
    Field("flags", "u2"),  # ITT_*
    Field("own_ns", "u4"),  # what tftrace spent before t0, and on the primitive's line after t1
    Field("parent", "u8"),  # enclosing ITT record on this thread: index + 1, or 0
    Field("after_ns", "u4"),  # of own_ns, what came after t1
    Field("spare", "u4"),
)
ITT_FULL_UNWIND = 1  # the stack was unwound frame by frame at this record
ITT_FAST_UNWIND = 2  # walked by frame sizes learned from full unwinds
ITT_CHECKED = (
    4  # fast walk, or the one remembered from here, compared with a full unwind at this record: equal
)
ITT_MISMATCH = 8  # .. and not equal; the full unwind was kept
ITT_LINE = (
    16  # made at the line that oneDNN printed when the primitive had run, for want of ITT; it has no name
)

ONEDNN = Record(
    Field("t", "i8"),  # when the primitive had ended
    Field("itt", "u8"),  # ITT record running then: index + 1, or 0
    Field("ms", "f8"),  # what oneDNN measured
    Field("tid", "u4"),
    Field("line", "u4"),  # where verbose.bin has the earlier line: block of VERBOSE_BLOCK bytes, from 1
)
VERBOSE_BLOCK = 32

THREAD = Record(
    Field("tid", "u8"),
    Field("pthread", "u8"),  # pthread_self(): what TensorFlow's profiler derives its line ids from
)

CUDNN = Record(
    Field("t0", "i8"),
    Field("t1", "i8"),  # 0: still inside when the process ended
    Field("stack", "u8"),  # 0: none was taken
    Field("call", "u8"),  # DISPATCH record running on this thread: index + 1, or 0
    Field(
        "object", "u8"
    ),  # number of the descriptor (of the plan, for an execution), from 1; 0: not seen being made
    Field("stream", "u8"),  # CUDA stream of the handle, an address; 0: the default one, or none
    Field("tid", "u4"),
    Field("own_ns", "u4"),
    Field("function", "u2"),  # CUDNN_FUNCTIONS
    Field("flags", "u2"),  # ITT_*, CUDNN_*
    Field("status", "u2"),  # cudnnStatus_t; CUDNN_OPEN while inside
    Field("detail", "u2"),  # type of the backend descriptor; attribute, where one is set or asked for
)
"""`object` of cudnnGetVersion is the version. Descriptors are numbered anew each time one is made, or, in the older
API, each time one is given new content: addresses come round."""
CUDNN_NOT_SAMPLED = 16  # the stack was left out, because there were more calls a second than asked for
CUDNN_OPEN = (1 << 16) - 1

CUDNN_DATA = Record(
    Field("record", "u8"),  # CUDNN record it belongs to: index + 1
    Field("object", "u8"),  # descriptor
    Field("bytes", "u4"),  # of the values behind the head
    Field("kind", "u2"),  # CUDNN_SET ..
    Field("name", "u2"),  # cudnnBackendAttributeName_t
    Field("type", "u4"),  # cudnnBackendAttributeType_t
    Field("count", "u4"),  # of values; more than `bytes` hold where there were too many, or addresses
)
CUDNN_BLOCK = 32
CUDNN_SET, CUDNN_GOT, CUDNN_ARGUMENTS = 0x7C01, 0x7C02, 0x7C03
"""Values as cuDNN takes them, but descriptors by number (i8); arguments as i8, see CUDNN_FUNCTIONS."""

CUDNN_FUNCTIONS = (
    ("cudnnGetVersion", ""),
    ("cudnnCreate", ""),
    ("cudnnDestroy", ""),
    ("cudnnSetStream", ""),
    ("cudnnGetStream", ""),
    ("cudnnBackendCreateDescriptor", ""),
    ("cudnnBackendDestroyDescriptor", ""),
    ("cudnnBackendSetAttribute", ""),
    ("cudnnBackendGetAttribute", ""),
    ("cudnnBackendFinalize", ""),
    ("cudnnBackendExecute", ""),
    ("cudnnSetTensor4dDescriptor", "oiiiiii"),
    ("cudnnSetTensor4dDescriptorEx", "oiiiiiiiii"),
    ("cudnnSetTensorNdDescriptor", "oinaa"),
    ("cudnnSetTensorNdDescriptorEx", "oiina"),
    ("cudnnSetFilter4dDescriptor", "oiiiiii"),
    ("cudnnSetFilterNdDescriptor", "oiina"),
    ("cudnnSetConvolution2dDescriptor", "oiiiiiiii"),
    ("cudnnSetConvolutionNdDescriptor", "onaaaii"),
    ("cudnnSetConvolutionGroupCount", "oi"),
    ("cudnnSetConvolutionMathType", "oi"),
    ("cudnnSetActivationDescriptor", "oii"),
    ("cudnnSetPooling2dDescriptor", "oiiiiiiii"),
    ("cudnnSetPoolingNdDescriptor", "oiinaaa"),
    ("cudnnGetConvolutionForwardAlgorithm_v7", "hdddd.rp"),
    ("cudnnGetConvolutionBackwardDataAlgorithm_v7", "hdddd.rp"),
    ("cudnnGetConvolutionBackwardFilterAlgorithm_v7", "hdddd.rp"),
    ("cudnnFindConvolutionForwardAlgorithm", "hdddd.rp"),
    ("cudnnFindConvolutionForwardAlgorithmEx", "hd.d.dd..rp.z"),
    ("cudnnFindConvolutionBackwardDataAlgorithm", "hdddd.rp"),
    ("cudnnFindConvolutionBackwardDataAlgorithmEx", "hd.d.dd..rp.z"),
    ("cudnnFindConvolutionBackwardFilterAlgorithm", "hdddd.rp"),
    ("cudnnFindConvolutionBackwardFilterAlgorithmEx", "hd.d.dd..rp.z"),
    ("cudnnConvolutionForward", "h.d.d.di.z.d."),
    ("cudnnConvolutionBackwardData", "h.d.d.di.z.d."),
    ("cudnnConvolutionBackwardFilter", "h.d.d.di.z.d."),
    ("cudnnConvolutionBiasActivationForward", "h.d.d.di.z.d.d.dd."),
    ("cudnnConvolutionBackwardBias", "h.d..d."),
    ("cudnnBatchNormalizationForwardInference", "hi..d.d.d...."),
    ("cudnnBatchNormalizationForwardTraining", "hi..d.d.d......"),
    ("cudnnBatchNormalizationForwardTrainingEx", "hii..d.d.d.d......d.z.z"),
    ("cudnnBatchNormalizationBackward", "hi....d.d.d.d....."),
    ("cudnnBatchNormalizationBackwardEx", "hii....d.d.d.d.d.d......d.z.z"),
    ("cudnnPoolingForward", "hd.d..d."),
    ("cudnnPoolingBackward", "hd.d.d.d..d."),
    ("cudnnActivationForward", "hd.d..d."),
    ("cudnnActivationBackward", "hd.d.d.d..d."),
    ("cudnnSoftmaxForward", "hii.d..d."),
    ("cudnnSoftmaxBackward", "hii.d.d..d."),
    ("cudnnLRNCrossChannelForward", "hdi.d..d."),
    ("cudnnLRNCrossChannelBackward", "hdi.d.d.d..d."),
    ("cudnnAddTensor", "h.d..d."),
    ("cudnnTransformTensor", "h.d..d."),
    ("cudnnOpTensor", "hd.d..d..d."),
    ("cudnnReduceTensor", "hd.z.z.d..d."),
    ("cudnnScaleTensor", "hd.."),
    ("cudnnDropoutForward", "hdd.d..z"),
    ("cudnnDropoutBackward", "hdd.d..z"),
    ("cudnnCTCLoss", "hd.....d.id.z"),
    ("cudnnCTCLoss_v8", "hidd.....d.z."),
    ("cudnnRNNForward", "hdi.d.d.d..d..z.z.z."),
    ("cudnnRNNBackwardData_v8", "hd.d..d.d...d...z.z.z."),
    ("cudnnRNNBackwardWeights_v8", "hdi.d.d.d.z.z.z."),
)
"""The recorded functions, and which of their arguments are stored, a letter each: h handle, o the descriptor that is
set, d descriptor, i int, z size_t, n length of the arrays a, r number of results p, . not stored. Stored are: one word
for each of o d i z n r, `n` words for each a, and six for each result (algorithm, status, bits of the time in ms as a
float, memory, determinism, math type)."""

SEGMENT = 1 << 16  # records by which a binary file grows


def release(version: str) -> Tuple[int, ...]:
    """Major and minor number of a version, as far as they are numbers."""
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
