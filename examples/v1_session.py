"""A TensorFlow 1 program: a graph built by hand and run in a Session.

Look at `why`: the `python` line is the one that added the node, the `caller` is the `session.run` that
executed it. `v1.layers` is gone from recent TensorFlow; `tf.compat.v1.nn` is what its layers ended in.

    tftrace run -o traces/v1_session examples/v1_session.py
    tftrace why conv2d traces/v1_session
"""

import tensorflow as tf

v1 = tf.compat.v1
v1.disable_eager_execution()

images = v1.placeholder(tf.float32, [None, 28, 28, 1])
filters = v1.get_variable("filters", [3, 3, 1, 16], initializer=v1.glorot_uniform_initializer(seed=5))
features = v1.nn.conv2d(images, filters, strides=[1, 1, 1, 1], padding="SAME")
pooled = v1.nn.max_pool(v1.nn.relu(features), ksize=2, strides=2, padding="VALID")
mean = v1.reduce_mean(pooled)

with v1.Session() as session:
    session.run(v1.global_variables_initializer())
    for _ in range(5):
        value = session.run(mean, {images: [[[[0.5]] * 28] * 28] * 16})

print("mean activation:", round(float(value), 3))
