"""Forward, backward data and backward filter of one convolution."""

import tensorflow as tf

IMAGE = tf.ones([2, 16, 16, 8])
KERNEL = tf.Variable(tf.ones([3, 3, 8, 16]))

with tf.GradientTape() as tape:
    tape.watch(IMAGE)
    result = tf.nn.conv2d(IMAGE, KERNEL, strides=1, padding="SAME")
of_image, of_kernel = tape.gradient(result, [IMAGE, KERNEL])
print(of_image.device, of_image.shape, of_kernel.shape)
of_kernel.numpy()
