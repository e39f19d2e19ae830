"""A function and a session in which the optimizer prunes, folds and fuses; the function is traced for two shapes."""

import tensorflow as tf

filters, bias = tf.Variable(tf.ones([3, 3, 3, 4])), tf.Variable(tf.ones([4]))


def network(x):
    scale = tf.sqrt(tf.constant(2.0)) / tf.constant(3.0)
    tf.reduce_max(x)
    return tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x * scale, filters, 1, "SAME"), bias))


step = tf.function(network)
for batch in (2, 2, 3):
    step(tf.ones([batch, 8, 8, 3]))

v1 = tf.compat.v1
with tf.Graph().as_default():
    fed = v1.placeholder(tf.float32, [2, 8, 8, 3])
    active = v1.nn.relu(
        v1.nn.bias_add(v1.nn.conv2d(fed, tf.ones([3, 3, 3, 4]), strides=1, padding="SAME"), tf.ones([4]))
    )
    with v1.Session() as session:
        for _ in range(3):
            session.run(active, {fed: [[[[1.0] * 3] * 8] * 8] * 2})
