"""Keras trains under its TensorBoard callback, which profiles two batches."""

import sys
from pathlib import Path

import tensorflow as tf

logdir = Path(sys.argv[1])
model = tf.keras.Sequential([tf.keras.Input([4]), tf.keras.layers.Dense(2)])
model.compile(loss="mse")
board = tf.keras.callbacks.TensorBoard(str(logdir), profile_batch=(2, 3))
model.fit(tf.ones([32, 4]), tf.ones([32, 2]), batch_size=4, epochs=1, verbose=0, callbacks=[board])
for _ in range(20):
    tf.math.tanh(tf.ones([8]))
print("profiles", len(list(logdir.rglob("*.xplane.pb"))))
