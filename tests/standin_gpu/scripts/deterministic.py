"""A convolution of which the script itself demands that its result be the same each time."""

import tensorflow as tf

tf.config.experimental.enable_op_determinism()
image, kernel = tf.ones([2, 16, 16, 8]), tf.ones([3, 3, 8, 16])
for _ in range(2):
    result = tf.nn.conv2d(image, kernel, strides=1, padding="SAME")
result.numpy()
