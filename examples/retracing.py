"""A tf.function that is traced again and again, each time for another reason. Every tracing makes a new graph.

tftrace run -o traces/retracing examples/retracing.py
tftrace summary traces/retracing
"""

import tensorflow as tf


@tf.function
def scaled(x, by=2.0, training=True):
    return tf.reduce_sum(x * by) if training else tf.reduce_mean(x)


rows = tf.ones([8, 3])
scaled(rows)
scaled(rows[:5])  # the last batch is smaller
scaled(rows, training=False)
for rate in (0.1, 0.2, 0.3):
    scaled(rows, by=rate)  # a Python number that changes
scaled(rows, by=tf.constant(0.1))  # a tensor may change as it likes
scaled(rows, by=tf.constant(0.2))

for _ in range(3):
    double = tf.function(lambda x: x + x)  # another function in each round
    double(rows)

print("sum:", float(scaled(rows)))
