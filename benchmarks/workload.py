"""One timed loop, run as a process of its own: `workload.py NAME RESULT.json COUNT|turns [PROFILER]`.

With COUNT the loop runs once, so many times. With `turns` it waits: each line on stdin is a number of executions, and
the answer, a line on stdout, is the seconds they took; so several processes can take turns on one machine and meet the
same weather. Neither the start of the process nor what happens at its end is in these times. PROFILER is `tf_profiler`
or `viztracer`: that one is on around the loop. What is written at the end:
{"seconds", "count", "ended": CLOCK_MONOTONIC at the last line of the script, "profiler_stop_s"}.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

WARM_UP = 20
TURNS = "turns"


def relu() -> Callable[[], object]:
    import tensorflow as tf

    values = tf.constant([1.0, -2.0, 3.0, -4.0])
    return lambda: tf.nn.relu(values)


def conv2d_small() -> Callable[[], object]:
    return _conv2d([1, 8, 8, 8], [3, 3, 8, 8])


def conv2d_large() -> Callable[[], object]:
    return _conv2d([8, 56, 56, 64], [3, 3, 64, 64])


def _conv2d(images: list[int], filters: list[int]) -> Callable[[], object]:
    import tensorflow as tf

    x, f = tf.ones(images), tf.ones(filters)
    return lambda: tf.nn.conv2d(x, f, 1, "SAME")


def keras_step() -> Callable[[], object]:
    import tensorflow as tf

    model = tf.keras.Sequential(
        [
            tf.keras.layers.Conv2D(16, 3, activation="relu"),
            tf.keras.layers.Conv2D(32, 3, activation="relu"),
            tf.keras.layers.MaxPooling2D(),
            tf.keras.layers.Flatten(),
            tf.keras.layers.Dense(10),
        ]
    )
    model.compile("sgd", tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    images, labels = tf.ones([32, 28, 28, 1]), tf.zeros([32], tf.int32)
    return lambda: model.train_on_batch(images, labels)


WORKLOADS: dict[str, Callable[[], Callable[[], object]]] = {
    "relu": relu,
    "conv2d_small": conv2d_small,
    "conv2d_large": conv2d_large,
    "keras_step": keras_step,
}


def started(profiler: str) -> Callable[[], object]:
    """Starts the profiler and returns what stops it, or stops and stores what it holds."""
    if profiler == "tf_profiler":
        import tensorflow as tf

        tf.profiler.experimental.start(tempfile.mkdtemp(prefix="profile", dir=Path(sys.argv[2]).parent))
        return lambda: tf.profiler.experimental.stop()
    if profiler == "viztracer":
        from viztracer import VizTracer  # type: ignore[import-not-found,unused-ignore]

        # so many entries that nothing is overwritten
        tracer = VizTracer(tracer_entries=20_000_000, verbose=0, output_file=f"{sys.argv[2]}.trace.json")
        tracer.start()

        def stop() -> None:
            tracer.stop()
            tracer.save()

        return stop
    return lambda: None


def requests(count: str) -> Iterable[int]:
    """How often to execute, each time it is asked for."""
    if count != TURNS:
        return [int(count)]
    print("ready", flush=True)
    return map(int, iter(sys.stdin.readline, ""))


def main() -> None:
    name, result = sys.argv[1], Path(sys.argv[2])
    once = WORKLOADS[name]()
    for _ in range(WARM_UP):
        once()
    stop = started(sys.argv[4] if len(sys.argv) > 4 else "")
    seconds, count = 0.0, 0
    for size in requests(sys.argv[3]):
        begin = time.perf_counter()
        for _ in range(size):
            once()
        took = time.perf_counter() - begin
        seconds, count = seconds + took, count + size
        if sys.argv[3] == TURNS:
            print(took, flush=True)
    stopping = time.perf_counter()
    stop()
    stop_s = time.perf_counter() - stopping
    facts = {"seconds": seconds, "count": count, "profiler_stop_s": stop_s, "ended": time.monotonic()}
    result.write_text(json.dumps(facts))


if __name__ == "__main__":
    main()
