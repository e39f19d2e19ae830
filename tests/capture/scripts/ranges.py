"""Ops of every mode on two threads, one that raises, and an op made by another thread meanwhile."""

import threading

import tensorflow as tf


@tf.function
def step(x):
    return tf.nn.softplus(x) + 1.0


def eager():
    for _ in range(5):
        tf.nn.relu(tf.ones([4]))
    for _ in range(3):
        tf.nn.conv2d(tf.ones([1, 8, 8, 8]), tf.ones([3, 3, 8, 8]), 1, "SAME")


eager()
other = threading.Thread(target=eager)
other.start()
other.join()
try:
    tf.matmul(tf.ones([2, 3]), tf.ones([2, 3]))
except tf.errors.InvalidArgumentError:
    print("raised")
for _ in range(2):
    step(tf.ones([3]))
with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    session.run(tf.nn.elu(tf.ones([3])))
