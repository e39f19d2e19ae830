"""One convolution on one line each: eager, in a tf.function, in a Session, compiled by XLA."""

import tensorflow as tf

x = tf.random.normal([1, 8, 8, 8])
w = tf.Variable(tf.random.normal([3, 3, 8, 8]))

for _ in range(20):
    tf.nn.conv2d(x, w, 1, "SAME")  # eager


@tf.function
def graph(x):
    return tf.nn.relu(tf.nn.conv2d(x, w, 1, "SAME"))  # function


@tf.function(jit_compile=True)
def compiled(x):
    return tf.nn.conv2d(x, w, 2, "SAME")  # xla


for _ in range(5):
    graph(x)  # runs function
    compiled(x)  # runs xla

with tf.Graph().as_default() as old:  # session's graph
    p = tf.compat.v1.placeholder(tf.float32, [1, 8, 8, 8])
    y = tf.nn.conv2d(p, tf.ones([3, 3, 8, 8]), 1, "SAME")  # session
with tf.compat.v1.Session(graph=old) as session:  # opens
    for _ in range(3):
        session.run(y, {p: x.numpy()})  # runs session
