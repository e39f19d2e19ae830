"""Eager ops, a traced function, gradients, tf.data, variables, lists of tensors, NumPy inputs, a Session.

With COUNT_TO in the environment it counts its own eager ops through TensorFlow's op callbacks instead, and writes
the counts to that file.
"""

import json
import os
from collections import Counter

import numpy as np
import tensorflow as tf

COUNT_TO = os.environ.get("COUNT_TO")


@tf.function
def step(x, w):
    for _ in tf.range(2):
        x = tf.nn.relu(tf.matmul(x, w))
    return tf.reduce_sum(x)


def eager():
    a = tf.random.stateless_normal([4, 4], seed=[1, 2])
    for i in range(5):
        a = tf.nn.relu(a + float(i))
    b = tf.concat([a, a, a], axis=0)
    c = tf.add_n([a, a]) @ np.eye(4, dtype=np.float32)
    d = tf.split(b, 3)
    assert len(tf.unstack(d[0])) == 4
    assert float(tf.reduce_sum(c)) == float(tf.reduce_sum(2 * a))
    assert int(tf.cast(tf.reduce_max(tf.argmax(b, axis=1)), tf.int32)) < 4
    assert tf.strings.join(["a", "b"]).numpy() == b"ab"
    return a[1:3, ::2], a[0]


def gradients():
    v = tf.Variable(tf.ones([3, 4]))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.nn.conv2d(tf.ones([1, 5, 5, 1]), tf.reshape(v, [3, 4, 1, 1]), 1, "SAME") ** 2)
    v.assign_sub(0.1 * tape.gradient(loss, v))
    v.assign_add(tf.ones([3, 4]))
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            y = tf.nn.tanh(v)
        outer_loss = tf.reduce_sum(inner.gradient(y, v))
    outer.gradient(outer_loss, v)


def data():
    dataset = tf.data.Dataset.range(10).map(lambda i: tf.cast(i, tf.float32) * 2.0).batch(4).prefetch(1)
    return [float(tf.reduce_sum(batch)) for batch in dataset]


def session():
    with tf.Graph().as_default(), tf.compat.v1.Session() as s:
        x = tf.compat.v1.placeholder(tf.float32, [2, 2])
        y = tf.nn.relu(x) * 2.0
        for _ in range(3):
            s.run(y, {x: [[1.0, -1.0], [2.0, -2.0]]})


def main():
    eager()
    for _ in range(4):
        step(tf.ones([2, 3]), tf.ones([3, 3]))
    step(tf.ones([5, 3]), tf.ones([3, 3]))
    gradients()
    data()
    session()


if COUNT_TO:
    from tensorflow.python.framework import op_callbacks

    counts = Counter()

    def seen(op_type, inputs, attrs, outputs, op_name=None, graph=None):
        if graph is None:
            counts[op_type if isinstance(op_type, str) else op_type.decode()] += 1

    op_callbacks.add_op_callback(seen)
    main()
    op_callbacks.remove_op_callback(seen)
    with open(COUNT_TO, "w") as file:
        json.dump(counts, file)
else:
    main()
