"""One eager convolution, called a few times.

Look at the chain that a single `tf.nn.conv2d` goes through: Python line, generated wrapper, eager
runtime, kernel, vendor library and its algorithm. The first call is dearer than the others: that is the
warm-up.

    tftrace run -o traces/eager_conv2d examples/eager_conv2d.py
    tftrace why conv2d traces/eager_conv2d
"""

import tensorflow as tf

images = tf.random.stateless_normal([8, 56, 56, 64], seed=[1, 2])
filters = tf.random.stateless_normal([3, 3, 64, 64], seed=[3, 4])

for _ in range(5):
    features = tf.nn.conv2d(images, filters, strides=1, padding="SAME")
    active = tf.nn.relu(features)

print("mean activation:", round(float(tf.reduce_mean(active)), 3))
