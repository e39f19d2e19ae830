"""A tf.estimator.Estimator with a convolution by each of four older ways to write it."""

import sys
import tempfile

import numpy as np
import tensorflow as tf
import tf_slim

v1 = tf.compat.v1
images = np.random.default_rng(5).standard_normal([64, 12, 12, 1]).astype(np.float32)
labels = (np.arange(64) % 3).astype(np.int32)


def with_slim(x):
    return tf_slim.conv2d(x, 8, 3)  # slim


def with_layers(x):
    return v1.layers.conv2d(x, 8, 3, activation=tf.nn.relu)  # layers


def with_keras(x):
    return tf.keras.layers.Conv2D(8, 3, activation="relu")(x)  # keras


WAYS = {"slim": with_slim, "layers": with_layers, "keras": with_keras}


def model_fn(features, labels, mode, params):
    x = WAYS[params["way"]](features)  # model_fn
    logits = v1.layers.dense(v1.layers.flatten(x), 3)
    loss = v1.losses.sparse_softmax_cross_entropy(labels, logits)
    step = v1.train.GradientDescentOptimizer(0.01).minimize(loss, v1.train.get_global_step())  # minimize
    return tf.estimator.EstimatorSpec(mode, loss=loss, train_op=step)


def input_fn():
    return tf.data.Dataset.from_tensor_slices((images, labels)).batch(32)


with tempfile.TemporaryDirectory() as place:
    estimator = tf.estimator.Estimator(model_fn, place, params={"way": sys.argv[1]})
    estimator.train(input_fn, steps=2)  # train
    print(sorted(estimator.evaluate(input_fn, steps=2)))  # evaluate
