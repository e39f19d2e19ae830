"""Sessions and graphs, runs that fail in each way, and an exception that nobody catches."""

import tensorflow as tf

v1 = tf.compat.v1
first = tf.Graph()  # first graph
with first.as_default():
    number = v1.placeholder(tf.float32, [None])
    root = tf.sqrt(tf.reshape(number, [2, 2]))
    third = root / 3.0
    row = v1.data.make_one_shot_iterator(v1.data.Dataset.range(2)).get_next()
with tf.Graph().as_default():  # second graph
    other = tf.constant(1.0) + 1.0  # other tensor
    nothing = tf.no_op()


def attempt(run):
    try:
        run()
    except Exception as error:
        print(type(error).__name__)


session = v1.Session(graph=first)  # session
session.run(root, {number: [1.0, 2.0, 3.0, 4.0]})  # works
for level in (v1.RunOptions.NO_TRACE, v1.RunOptions.FULL_TRACE):
    told = v1.RunMetadata()
    session.run(third, {number: [1.0] * 4}, options=v1.RunOptions(trace_level=level), run_metadata=told)
    print("metadata:", len(told.partition_graphs), bool(told.step_stats.dev_stats))
attempt(lambda: session.run(other))  # other graph's fetch
attempt(lambda: other.eval(session=session))  # other graph's eval
attempt(lambda: nothing.run(session=session))  # other graph's operation
attempt(lambda: root.eval({number: [1.0]}, session=session))  # in the runtime
attempt(lambda: session.run(feed_dict={other: 1.0}, fetches=root))  # other graph's feed
while True:
    try:
        session.run(row)
    except tf.errors.OutOfRangeError:
        break
with first.as_default(), v1.Session():
    attempt(lambda: root.eval())  # default session
raise RuntimeError("nobody catches this")  # uncaught
