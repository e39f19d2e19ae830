"""Profiles itself, once through tf.profiler and once through Keras's TensorBoard callback."""

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

model = tf.keras.Sequential([tf.keras.Input([4]), tf.keras.layers.Dense(2)])
model.compile(loss="mse")
board = tf.keras.callbacks.TensorBoard(str(logdir / "keras"), profile_batch=(2, 3))
model.fit(tf.ones([32, 4]), tf.ones([32, 2]), batch_size=4, epochs=1, verbose=0, callbacks=[board])
work(tf.math.tanh)
for name in ("api", "second", "with", "keras"):
    print(name, len(list((logdir / name).rglob("*.xplane.pb"))))
