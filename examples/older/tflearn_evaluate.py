"""TFLearn's well-known failure: a network in a graph of its own, evaluated outside of it.

    tftrace run --python older/bin/python -o traces/tflearn_evaluate examples/older/tflearn_evaluate.py
    tftrace summary --by graph traces/tflearn_evaluate

With the argument `inside` it evaluates where that graph is the default, and works.
"""

import sys

import numpy as np
import tensorflow as tf
import tflearn

images = np.random.default_rng(5).standard_normal([64, 12, 12, 1]).astype(np.float32)
labels = np.eye(3, dtype=np.float32)[np.arange(64) % 3]

graph = tf.Graph()
with graph.as_default():
    net = tflearn.input_data(shape=[None, 12, 12, 1])
    net = tflearn.conv_2d(net, 8, 3, activation="relu")
    net = tflearn.fully_connected(net, 3, activation="softmax")
    net = tflearn.regression(net, optimizer="sgd", loss="categorical_crossentropy", batch_size=32)
    model = tflearn.DNN(net)
    model.fit(images, labels, n_epoch=1, batch_size=32)

if "inside" in sys.argv:
    with graph.as_default():
        print("accuracy:", model.evaluate(images, labels))
else:
    print("accuracy:", model.evaluate(images, labels))
