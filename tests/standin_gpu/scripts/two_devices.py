"""A convolution on each of two GPUs, and a copy from one to the other."""

import tensorflow as tf

for device in ("/GPU:0", "/GPU:1"):
    with tf.device(device):
        image, kernel = tf.ones([2, 16, 16, 8]), tf.ones([3, 3, 8, 16])
        result = tf.nn.conv2d(image, kernel, strides=1, padding="SAME")
        print(result.device, result.shape)
with tf.device("/GPU:0"):
    copied = tf.identity(result)
    print(copied.device)
    copied.numpy()
