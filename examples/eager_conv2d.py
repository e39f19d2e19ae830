"""One eager convolution, called a few times, from the Python line down to the vendor library and its algorithm.
The first call is dearer than the others: that is the warm-up.

tftrace run -o traces/eager_conv2d examples/eager_conv2d.py
tftrace why conv2d traces/eager_conv2d
"""

import os

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # TensorFlow's own choice on newer processors only
import tensorflow as tf

images = tf.random.stateless_normal([8, 56, 56, 64], seed=[1, 2])
filters = tf.random.stateless_normal([3, 3, 64, 64], seed=[3, 4])

for _ in range(5):
    features = tf.nn.conv2d(images, filters, strides=1, padding="SAME")
    active = tf.nn.relu(features)

print("mean activation:", round(float(tf.reduce_mean(active)), 3))
