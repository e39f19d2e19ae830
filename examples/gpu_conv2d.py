"""A convolution with its gradients on a GPU: cold, as TensorFlow tries cuDNN's engines and keeps the best, then warm.

tftrace run -o traces/gpu_conv2d examples/gpu_conv2d.py
tftrace why conv2d traces/gpu_conv2d
tftrace why 'Conv2DBackprop*' traces/gpu_conv2d
tftrace algorithms traces/gpu_conv2d
"""

import tensorflow as tf

images = tf.random.stateless_normal([32, 56, 56, 64], seed=[1, 2])
filters = tf.random.stateless_normal([3, 3, 64, 64], seed=[3, 4])

for _ in range(4):
    with tf.GradientTape() as tape:
        tape.watch([images, filters])
        features = tf.nn.conv2d(images, filters, strides=1, padding="SAME")
        loss = tf.reduce_mean(tf.nn.relu(features))
    of_images, of_filters = tape.gradient(loss, [images, filters])

print("on", features.device.rpartition("/")[2], "loss", round(float(loss), 3), "gradient", of_filters.shape)
