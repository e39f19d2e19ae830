"""A convolution of half precision."""

import tensorflow as tf

IMAGE = tf.ones([2, 16, 16, 8], tf.float16)
KERNEL = tf.ones([3, 3, 8, 16], tf.float16)

for _ in range(2):
    result = tf.nn.conv2d(IMAGE, KERNEL, strides=1, padding="SAME")
print(result.device, result.shape)
result.numpy()
