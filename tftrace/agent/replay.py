"""Replays 2-D convolutions in this process, for `tftrace tune`: one process has one set of environment settings.

Run as a script, by any interpreter with TensorFlow 2.12 or later: `replay.py FD`. Commands come as JSON lines on the
socket FD and are answered there in JSON lines; stdout and stderr stay TensorFlow's and oneDNN's own.

    start     {memory_bytes}           -> {versions, gpus, onednn, synthetic, ..}: imports TensorFlow, limits the memory
    spawn     {env, stdout, stderr, memory_bytes}  -> {pid}: a fork with that environment, on a socket that comes along
    ended     {pid, seconds}           -> {code}: how such a fork has ended
    prepare   {key, problem, variant}  -> {first_us, max_abs_difference, max_relative_difference, finite}: builds the
                                          function, calls it, compares with the reference
    time      {key, seconds, release}  -> {us: [..], repeats}: one call unmeasured, then calls until the time is over
    drop      {}                       -> {}: forgets all functions and tensors
    recorded  {key, problem, variant, marker}  -> {steady_us}: two calls, with marks on stdout around what is printed

An answer that holds `error` says what went wrong, and `unsupported` whether the op refused the settings.

A problem has sizes of NHWC tensors whatever its layout: input [N, H, W, C], filter [KH, KW, C / groups, K], output
[N, OH, OW, K], strides and dilations [h, w], padding [[top, bottom], [left, right]], groups, dtype, direction, fused
("bias", an activation), padding_name (SAME, VALID or null), and tensors: the folder with the arrays it is called with,
NHWC, as .npy files. A variant has layout, dtype, jit_compile and unfused.
"""

import os
import sys

if __name__ == "__main__":  # the modules beside this one would hide others of their names
    sys.path[:] = [p for p in sys.path if p != os.path.dirname(os.path.abspath(__file__))]

import contextlib
import ctypes
import faulthandler
import json
import math
import resource
import signal
import socket
import time
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import numpy as np

TENSORS = {
    "forward": ("input", "filter", "bias"),
    "backprop_input": ("filter", "output"),
    "backprop_filter": ("input", "output"),
}
RESULTS = {"forward": "output", "backprop_input": "input", "backprop_filter": "filter"}
SUFFIXES = {"forward": "", "backprop_input": "BackpropInput", "backprop_filter": "BackpropFilter"}
LAID_OUT = ("input", "output")
MOST_CALLS = 2000
MOST_REPEATS, REPEATED_BYTES = 16, 1 << 29
_DRIVER = "libcuda.so.1"
_STANDIN = "tftrace_standin_gpu"

tf: Any = None
Problem = Dict[str, Any]


class Replay:
    """One problem under one variant: a function, and the tensors it is called with."""

    def __init__(self, problem: Problem, variant: Dict[str, Any]) -> None:
        self.problem, self.variant = problem, variant
        self.last = variant["layout"] == "NHWC"
        compiled = True if variant["jit_compile"] else None
        self.function = tf.function(self._body, jit_compile=compiled, autograph=False)
        self.tensors: Optional[List[Any]] = None
        self.last_s = 0.0
        self.repeats = 1

    def call(self, repeats: int = 1) -> Any:
        """Runs the op so many times, each with arguments of its own, so that nothing can take two for the same."""
        if self.tensors is None:
            names = TENSORS[self.problem["direction"]]
            files = [os.path.join(self.problem["tensors"], name + ".npy") for name in names]
            values = [np.load(file, allow_pickle=False) for file in files]
            if not self.last:
                values = [v.transpose(0, 3, 1, 2) if n in LAID_OUT else v for n, v in zip(names, values)]
            self.tensors = [tf.cast(tf.constant(value), self.variant["dtype"]) for value in values]
            wait()
        return self.function(*self.tensors * repeats)

    def options(self) -> None:
        """Grappler's remapper is what fuses bias and activation into the convolution."""
        tf.config.optimizer.set_experimental_options({"remapping": not self.variant["unfused"]})

    def result(self) -> Any:
        """In float64 and NHWC."""
        y = tf.cast(self.call(), tf.float64).numpy()
        if self.problem["direction"] == "backprop_filter":
            return y.reshape(self.problem["filter"])
        return y if self.last else y.transpose(0, 2, 3, 1)

    def _ordered(self, pair: Any, outside: Any) -> List[Any]:
        height, width = pair
        return [outside, height, width, outside] if self.last else [outside, outside, height, width]

    def _padding(self) -> Tuple[str, List[int]]:
        if self.problem["padding_name"] in ("SAME", "VALID"):
            return self.problem["padding_name"], []
        pairs = self._ordered(self.problem["padding"], [0, 0])
        return "EXPLICIT", [side for pair in pairs for side in pair]

    def _body(self, *tensors: Any) -> Any:
        count = len(TENSORS[self.problem["direction"]])
        results = [self._op(*tensors[i : i + count]) for i in range(0, len(tensors), count)]
        return results if len(results) > 1 else results[0]

    def _op(self, *tensors: Any) -> Any:
        problem = self.problem
        padding, explicit = self._padding()
        n, h, w, c = problem["input"]
        attributes = {
            "strides": self._ordered(problem["strides"], 1), "dilations": self._ordered(problem["dilations"], 1),
            "padding": padding, "explicit_paddings": explicit, "data_format": self.variant["layout"],
        }  # fmt: skip
        filter_sizes = problem["filter"]
        depthwise = problem["groups"] > 1 and problem["groups"] == c
        if depthwise:  # the op that TensorFlow has for it; its filter is [KH, KW, C, K / C]
            filter_sizes = [*filter_sizes[:2], c, problem["output"][3] // c]
        name = "DepthwiseConv2dNative" if depthwise else "Conv2D"
        op = getattr(tf.raw_ops, name + SUFFIXES[problem["direction"]])
        if problem["direction"] == "backprop_filter":
            return op(input=tensors[0], filter_sizes=filter_sizes, out_backprop=tensors[1], **attributes)
        if problem["direction"] == "backprop_input":
            sizes = [n, h, w, c] if self.last else [n, c, h, w]
            weights = tf.reshape(tensors[0], filter_sizes)
            return op(input_sizes=sizes, filter=weights, out_backprop=tensors[1], **attributes)
        y = op(input=tensors[0], filter=tf.reshape(tensors[1], filter_sizes), **attributes)
        for name in problem["fused"]:
            if name == "bias":
                y = tf.nn.bias_add(y, tensors[2], data_format=self.variant["layout"])
            else:
                y = getattr(tf.nn, name)(y)
        return y


def on_gpu() -> bool:
    return bool(tf.config.list_physical_devices("GPU"))


def wait() -> None:
    """Until the devices have done what they were told; a CPU has when a call returns."""
    if on_gpu():
        tf.test.experimental.sync_devices()


_replays: Dict[str, Replay] = {}


def start(command: Dict[str, Any]) -> Dict[str, Any]:
    global tf
    begun = time.monotonic()
    import tensorflow

    tf = tensorflow
    gpus = tf.config.list_physical_devices("GPU")
    # with a GPU the driver maps more addresses than any machine has memory
    if command.get("memory_bytes") and not gpus:
        _limit_memory(int(command["memory_bytes"]))
    return {
        "import_s": time.monotonic() - begun, "python": sys.version.split()[0], "executable": sys.executable,
        "versions": {"tensorflow": str(tf.__version__), "python": sys.version.split()[0]},
        "gpus": [tf.config.experimental.get_device_details(d).get("device_name") for d in gpus],
        "synthetic": _on_standin(), "onednn": _uses_onednn(), "pid": os.getpid(), "host": socket.gethostname(),
    }  # fmt: skip


def _uses_onednn() -> bool:
    """Whether TensorFlow runs its ops by oneDNN, which depends on the processor where the environment does not say."""
    from tensorflow.python.framework import test_util

    return bool(test_util.IsMklEnabled())


def _on_standin() -> bool:
    """Whether the driver is a stand-in, whose times are made up and whose devices compute nothing."""
    try:
        return hasattr(ctypes.CDLL(_DRIVER, mode=os.RTLD_NOLOAD | os.RTLD_LAZY), _STANDIN)
    except OSError:
        return False


def prepare(command: Dict[str, Any]) -> Dict[str, Any]:
    replay = Replay(command["problem"], command["variant"])
    replay.options()
    begun = time.perf_counter_ns()
    replay.call()
    wait()
    first = (time.perf_counter_ns() - begun) / 1e3
    answer = {"first_us": first, **difference(replay)}
    if on_gpu():  # what a call costs beside the op would be most of its time
        elements = int(np.prod(replay.problem[RESULTS[replay.problem["direction"]]]))
        replay.repeats = max(1, min(MOST_REPEATS, REPEATED_BYTES // (4 * elements)))
        replay.call(replay.repeats)
        wait()
    _replays[command["key"]] = replay
    return answer


def difference(replay: Replay) -> Dict[str, Any]:
    """To the reference: the largest of all elements, and the same as a share of the reference's largest element."""
    file = os.path.join(replay.problem["tensors"], "reference.npy")
    wanted = np.load(file, mmap_mode="r", allow_pickle=False)
    # the reference is of the first images, or output channels, alone
    got = replay.result()[tuple(slice(0, n) for n in wanted.shape)]
    largest, scale = float(np.max(np.abs(got - wanted))), float(np.max(np.abs(wanted)))
    if not math.isfinite(largest):
        return {"max_abs_difference": None, "max_relative_difference": None, "finite": False}
    return {
        "max_abs_difference": largest, "max_relative_difference": largest / scale if scale else None, "finite": True,
    }  # fmt: skip


def timed(command: Dict[str, Any]) -> Dict[str, Any]:
    """Wall time of calls, in us. On a GPU the mean of ops, several in a call, that are waited for together."""
    replay = _replays[command["key"]]
    replay.options()
    # what other processes left in the caches is nothing to a longer call
    if replay.last_s < command["seconds"]:
        replay.call(replay.repeats)
        wait()
    calls: List[float] = []
    end = time.perf_counter() + command["seconds"]
    if on_gpu():
        begun = time.perf_counter_ns()
        done = 0
        while done == 0 or (done < MOST_CALLS and time.perf_counter() < end):
            replay.call(replay.repeats)
            done += replay.repeats
        wait()
        calls = [(time.perf_counter_ns() - begun) / 1e3 / done]
    else:
        while not calls or (len(calls) < MOST_CALLS and time.perf_counter() < end):
            begun = time.perf_counter_ns()
            replay.call()
            calls.append((time.perf_counter_ns() - begun) / 1e3)
    replay.last_s = calls[-1] / 1e6
    if command.get("release"):
        replay.tensors = None
    return {"us": calls, "repeats": replay.repeats}


def drop(command: Dict[str, Any]) -> Dict[str, Any]:
    _replays.clear()
    return {}


def recorded(command: Dict[str, Any]) -> Dict[str, Any]:
    """Two calls, with marks on stdout around what a library prints there: the second one makes no primitives."""

    def mark(what: str) -> None:
        os.write(1, ("%s,%s,%s\n" % (command["marker"], what, command["key"])).encode())

    replay = Replay(command["problem"], command["variant"])
    replay.options()
    mark("begin")
    try:
        replay.call()
        mark("steady")
        begun = time.perf_counter_ns()
        replay.call()
        wait()
        steady = (time.perf_counter_ns() - begun) / 1e3
    finally:
        mark("end")
    return {"steady_us": steady}


# -- the process


def _limit_memory(more: int) -> None:
    """At most `more` bytes beyond what is mapped now; and of all processes the kernel is to end this one first."""
    with open("/proc/self/statm") as file:
        mapped = int(file.read().split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = mapped + more
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as out:
        out.write("1000")


def _explained(error: Exception) -> Dict[str, Any]:
    """Type and telling line of the error, and whether it says that these settings cannot be had.

    TensorFlow puts the Python stack of the graph in front of what the op said, and the node's name behind it.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = [line for line in lines if not line.startswith(_AROUND)]
    kind = type(error).__name__
    text = (said or lines or [""])[-1].partition(" [Op:")[0]
    return {"error": "%s: %s" % (kind, text[:300]), "unsupported": kind in _REFUSED}


_AROUND = ("File ", "[[", "Detected at", "Graph execution error", "Node:", "<stack", "Stack trace")
_REFUSED = [e + "Error" for e in ("Unimplemented", "InvalidArgument", "NotImplemented", "NotFound", "Value")]


def commands(connection: socket.socket) -> Iterator[Dict[str, Any]]:
    """Commands as they come, one a line; a socket that comes with one stands in it as `socket`."""
    text = b""
    while True:
        while b"\n" not in text:
            more, sockets, _, _ = socket.recv_fds(connection, 1 << 16, 1)
            if not more:
                return
            text += more
            _sockets.extend(sockets)
        line, _, text = text.partition(b"\n")
        yield json.loads(line)


_sockets: List[int] = []


def spawn(command: Dict[str, Any]) -> Dict[str, Any]:
    """Forks a process with these settings, which listens on the socket that came with the command.

    This process has imported TensorFlow and run nothing: all that TensorFlow and oneDNN read of the environment after
    that, they read at their first op, in the fork.
    """
    connection = socket.socket(fileno=_sockets.pop())
    child = os.fork()
    if child:
        connection.close()
        return {"pid": child}
    try:
        os.setsid()
        die_with_parent()
        os.environ.update(command["env"])
        for file, number in ((command["stdout"], 1), (command["stderr"], 2)):
            os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), number)
        if command["memory_bytes"]:
            _limit_memory(command["memory_bytes"])
        serve(connection)
    finally:
        os._exit(0)


def ended(command: Dict[str, Any]) -> Dict[str, Any]:
    """How a process that was spawned here has ended, in the form of subprocess: -signal, or its exit code.

    Null where it has not after `seconds`.
    """
    deadline = time.monotonic() + command["seconds"]
    while True:
        ended, status = os.waitpid(command["pid"], os.WNOHANG)
        if ended:
            return {"code": -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)}
        if time.monotonic() > deadline:
            return {"code": None}
        time.sleep(0.002)


COMMANDS: Dict[str, Callable[[Dict[str, Any]], Dict[str, Any]]] = {
    "start": start, "spawn": spawn, "ended": ended, "prepare": prepare, "time": timed, "drop": drop,
    "recorded": recorded,
}  # fmt: skip


def die_with_parent() -> None:
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def serve(connection: socket.socket) -> None:
    for command in commands(connection):
        try:
            answer = COMMANDS[command["do"]](command)
        except MemoryError:
            answer = {"error": "MemoryError: there is no memory for it", "unsupported": False}
        except ImportError as error:
            answer = {"error": "ImportError: %s" % error, "unsupported": False}
        except Exception as error:
            answer = _explained(error)
        connection.sendall((json.dumps(answer) + "\n").encode())


def main() -> None:
    die_with_parent()
    faulthandler.enable()
    faulthandler.register(
        signal.SIGUSR1
    )  # tftrace asks where it is before it ends a process that does not answer
    _kept.append(socket.socket(fileno=int(sys.argv[1])))
    serve(_kept[0])


_kept: List[socket.socket] = []
"""Until the very end: that it is closed is what tells tftrace that this process has ended."""


if __name__ == "__main__":
    main()
