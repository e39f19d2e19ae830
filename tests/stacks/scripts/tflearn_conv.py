"""A TFLearn network in a graph of its own: `fit` works; `evaluate`, outside that graph, fails as it is known to do."""

import numpy as np
import tensorflow as tf
import tflearn  # import

images = np.random.default_rng(5).standard_normal([64, 12, 12, 1]).astype(np.float32)
labels = np.eye(3, dtype=np.float32)[np.arange(64) % 3]


def network():
    net = tflearn.input_data(shape=[None, 12, 12, 1])
    net = tflearn.conv_2d(net, 8, 3, activation="relu")  # conv
    net = tflearn.fully_connected(net, 3, activation="softmax")
    return tflearn.regression(net, optimizer="sgd", loss="categorical_crossentropy", batch_size=32)


with tf.Graph().as_default():  # graph
    model = tflearn.DNN(network())  # session
    model.fit(images, labels, n_epoch=2, batch_size=32)  # fit

try:
    model.evaluate(images, labels)  # evaluate
except ValueError as error:
    print("evaluate:", error)
