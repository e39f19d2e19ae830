"""tf_slim.conv2d and tf.compat.v1.layers.conv2d in a plain session."""

import numpy as np
import tensorflow as tf
import tf_slim

v1 = tf.compat.v1
v1.disable_eager_execution()
images = np.ones([16, 12, 12, 1], np.float32)

x = v1.placeholder(tf.float32, [None, 12, 12, 1])
slim = tf_slim.conv2d(x, 8, 3, activation_fn=None, biases_initializer=None)  # slim
layers = v1.layers.conv2d(x, 8, 3, use_bias=False)  # layers
with v1.Session() as session:
    session.run(v1.global_variables_initializer())
    for _ in range(3):
        session.run([slim, layers], {x: images})  # run
