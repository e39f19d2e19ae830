"""Profiles itself: by start and stop, by a second start that fails meanwhile, and by a with block."""

import sys
from pathlib import Path

import tensorflow as tf


def work(op):
    for _ in range(20):
        op(tf.ones([8]))


logdir = Path(sys.argv[1])
work(tf.nn.relu)
tf.profiler.experimental.start(str(logdir / "api"))
work(tf.nn.softplus)
try:
    tf.profiler.experimental.start(str(logdir / "second"))
except tf.errors.AlreadyExistsError as error:
    print("second session:", type(error).__name__)
tf.profiler.experimental.stop()
work(tf.nn.elu)
with tf.profiler.experimental.Profile(str(logdir / "with")):
    work(tf.nn.selu)
work(tf.math.sigmoid)
for name in ("api", "second", "with"):
    print(name, len(list((logdir / name).rglob("*.xplane.pb"))))
