"""The same convolution in a graph: `tf.function`.

Look at the difference between the line that *made* a node (once, while the graph was traced) and the
line that *ran* the graph (every time): `why` prints both. Convolution, bias and activation are three
lines here and one kernel there: the graph optimizer fuses them, and the kernel keeps the name of the
last node, the relu.

    tftrace run -o traces/tf_function examples/tf_function.py
    tftrace why 'kernel:*FusedConv2D' traces/tf_function
    tftrace summary traces/tf_function --by kernel
"""

import tensorflow as tf


@tf.function
def block(images: tf.Tensor, filters: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    features = tf.nn.conv2d(images, filters, strides=1, padding="SAME")
    shifted = tf.nn.bias_add(features, bias)
    return tf.nn.relu(shifted)


images = tf.random.stateless_normal([8, 56, 56, 64], seed=[1, 2])
filters = tf.random.stateless_normal([3, 3, 64, 64], seed=[3, 4])
bias = tf.zeros([64])

for _ in range(5):
    active = block(images, filters, bias)

print("mean activation:", round(float(tf.reduce_mean(active)), 3))
