"""Ops in loops and branches that become something else: in a function, in sessions with loops of both kinds."""

import tensorflow as tf

v1 = tf.compat.v1
ones = [[[[1.0] * 4] * 8] * 8]


def compute(a):
    scale = tf.sqrt(tf.constant(4.0)) / tf.constant(3.0)  # folded
    tf.reduce_max(a)  # pruned
    return scale * tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(a, w, 1, "SAME"), bias))  # fused


def model(a, way):
    if way == "loop":
        return tf.while_loop(lambda i, _: i < 3, lambda i, a: (i + 1, compute(a)), [tf.constant(0), a])[1]
    if way == "branch":
        return tf.cond(tf.reduce_sum(a) > 0, lambda: compute(a), lambda: a * 2.0)
    if way == "nested":
        inner = lambda a: tf.cond(tf.reduce_sum(a) > 0, lambda: compute(a), lambda: a * 2.0)  # noqa: E731
        return tf.while_loop(lambda i, _: i < 3, lambda i, a: (i + 1, inner(a)), [tf.constant(0), a])[1]
    return tf.switch_case(tf.cast(tf.reduce_min(a), tf.int32), [lambda: a, lambda: compute(a), lambda: a + a])


WAYS = ("loop", "branch", "nested", "switch")
w, bias = tf.ones([3, 3, 4, 4]), tf.ones([4])
for way in WAYS:
    with tf.name_scope(way):
        step = tf.function(lambda a, way=way: model(a, way))
    step(tf.constant(ones))  # first call
    step(tf.constant(ones))  # second call
for lowered in (True, False):
    (v1.enable_control_flow_v2 if lowered else v1.disable_control_flow_v2)()
    for way in WAYS:
        with tf.Graph().as_default(), v1.Session() as session:
            w, bias = tf.ones([3, 3, 4, 4]), tf.ones([4])
            x = v1.placeholder(tf.float32, [1, 8, 8, 4])
            y = model(x, way)
            session.run(y, {x: ones})  # first run
            session.run(y, {x: ones})  # second run
