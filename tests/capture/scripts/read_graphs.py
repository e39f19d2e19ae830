"""Graphs that no line of this process made, but read: a SavedModel in both ways, a frozen graph.

The first argument is the directory of the files, the second what to do: write or read them.
"""

import sys

import tensorflow as tf

v1 = tf.compat.v1
place, what = sys.argv[1:3]
ones = [[[[1.0] * 4] * 8] * 8] * 2


def write():
    model = tf.Module()
    model.w = tf.Variable(tf.ones([3, 3, 4, 4]))
    signature = [tf.TensorSpec([None, 8, 8, 4])]
    model.run = tf.function(
        lambda a: tf.cond(
            tf.reduce_sum(a) > 0, lambda: tf.nn.relu(tf.nn.conv2d(a, model.w, 1, "SAME")), lambda: a * 2.0
        ),
        input_signature=signature,
    )
    tf.saved_model.save(model, f"{place}/model", signatures=model.run)
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [None, 8, 8, 4], name="x")
        tf.nn.relu(tf.nn.conv2d(x, tf.ones([3, 3, 4, 4]), 1, "SAME"), name="y")
    with open(f"{place}/frozen.pb", "wb") as file:
        file.write(graph.as_graph_def().SerializeToString())


def read():
    x = tf.constant(ones)
    model = tf.saved_model.load(f"{place}/model")  # loaded
    for _ in range(3):
        model.run(x)  # called
    with tf.Graph().as_default(), v1.Session() as session:
        loaded = v1.saved_model.load(session, ["serve"], f"{place}/model")  # v1
        signature = loaded.signature_def["serving_default"]
        (fed,), (fetched,) = signature.inputs.values(), signature.outputs.values()
        for _ in range(3):
            session.run(fetched.name, {fed.name: ones})  # run
    with open(f"{place}/frozen.pb", "rb") as file:
        definition = v1.GraphDef.FromString(file.read())
    with tf.Graph().as_default(), v1.Session() as session:
        tf.import_graph_def(definition, name="frozen")  # imported
        for _ in range(3):
            session.run("frozen/y:0", {"frozen/x:0": ones})  # frozen


{"write": write, "read": read}[what]()
