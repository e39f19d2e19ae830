"""A function that is not inlined, whose own graph is not seen; constants that are evaluated while graphs are made."""

import tensorflow as tf

w, bias = tf.Variable(tf.ones([3, 3, 4, 4])), tf.Variable(tf.ones([4]))
x = tf.ones([2, 8, 8, 4])


@tf.function(experimental_attributes={"_noinline": True})
def inner(a):
    scale = tf.sqrt(tf.constant(4.0)) / tf.constant(3.0)  # folded
    tf.reduce_max(a)  # pruned
    return scale * tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(a, w, 1, "SAME"), bias))  # fused


@tf.function
def outer(a):
    return tf.reduce_mean(inner(a))


@tf.function
def one(a):
    return tf.reduce_sum(a, tf.range(tf.constant(1), tf.constant(3)))  # one range


@tf.function
def other(a):
    return tf.reduce_max(a, tf.range(tf.constant(0), tf.constant(2)))  # other range


for _ in range(5):
    outer(x)  # call
one(x)
other(x)
