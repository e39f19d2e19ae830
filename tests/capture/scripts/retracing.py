"""Functions that are traced again, each for another reason."""

import tensorflow as tf


class Model:
    pass


@tf.function
def scale(x, by=2.0, training=True, model=None):
    return x * by


scale(tf.ones([8, 3]))
scale(tf.ones([8, 3]))
scale(tf.ones([4, 3]))  # shape
scale(tf.ones([8, 3], tf.float64), by=tf.constant(2.0, tf.float64))  # dtype
scale(tf.ones([8, 3]), training=False)  # value
for step in range(3):
    scale(tf.ones([8, 3]), by=10.0 + step)  # a Python number each step
first, second = Model(), Model()
scale(tf.ones([8, 3]), model=first)  # object
scale(tf.ones([8, 3]), model=second)  # another

for _ in range(3):
    anew = tf.function(lambda x: x + 1.0)  # made anew
    anew(tf.ones([2]))

kept = []


@tf.function
def counting(x):
    if not kept:
        kept.append(tf.Variable(0.0))
    return kept[0].assign_add(x)


counting(tf.constant(1.0))  # makes a variable


@tf.function
def once(pair):
    return pair[0] + pair[1]["b"]


once((tf.ones([2]), {"b": tf.ones([2])}))
once((tf.ones([2]), {"b": tf.ones([1])}))  # within
