"""Eight executions of a function, and an eager op after each."""

import tensorflow as tf


@tf.function
def step(x):
    return tf.nn.softplus(x) + 1.0


for _ in range(8):
    step(tf.ones([3]))
    tf.nn.relu(tf.ones([2]))
