"""Forty executions of one convolution."""

import tensorflow as tf

image, kernel = tf.ones([1, 8, 8, 4]), tf.ones([3, 3, 4, 4])
for _ in range(40):
    result = tf.nn.conv2d(image, kernel, 1, "SAME")
result.numpy()
