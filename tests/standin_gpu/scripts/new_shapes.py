"""One convolution on two shapes, each twice: the second shape has to be tuned for itself."""

import tensorflow as tf

KERNEL = tf.ones([3, 3, 8, 16])


def conv(size):
    return tf.nn.conv2d(tf.ones([2, size, size, 8]), KERNEL, strides=1, padding="SAME")


for size in (16, 16, 24, 24, 16):
    result = conv(size)
result.numpy()
