"""Tensors of changing shape and type, each dropped before the next is made, often at the same address; one is kept."""

import tensorflow as tf

kept = tf.ones([3, 5])
for i in range(200):
    tf.nn.relu(tf.zeros([1 + i % 7] * (1 + i % 3), [tf.float32, tf.int32][i % 2]))
    tf.nn.relu(kept)
