"""tf.data pipelines, walked eagerly, in a function, and in a session: map functions run on tf.data's own threads."""

import numpy as np
import tensorflow as tf

values = np.arange(64, dtype=np.float32).reshape(16, 4)


def prepare(row):
    wide = tf.sin(row) * 2.0  # in the map function
    return tf.linalg.matmul(wide[None, :], wide[:, None])  # the costly one


def pipeline():
    rows = tf.data.Dataset.from_tensor_slices(values)
    rows = rows.map(prepare, num_parallel_calls=2)  # map
    rows = rows.filter(lambda x: tf.reduce_all(x > -1.0))  # filter
    return rows.batch(4).prefetch(2)


total = 0.0
for batch in pipeline():  # eager
    total += float(tf.reduce_sum(batch))


@tf.function
def walk(rows):
    found = 0.0
    for batch in rows:
        found += tf.reduce_sum(batch)
    return found


walk(pipeline())  # function

v1 = tf.compat.v1
with tf.Graph().as_default():
    following = v1.data.make_one_shot_iterator(pipeline()).get_next()
    with v1.Session() as session:
        for _ in range(4):
            session.run(following)  # session
print(round(total, 1))
