"""One small network, trained for 20 steps, written in five ways: slim, tf.layers, Keras, an Estimator, TFLearn.

Which one is the argument. The first four run on TensorFlow 2.15, the last that has them all; TFLearn needs TensorFlow
2.12. `--python` names the environment, tftrace itself may be installed in a third:

    tftrace run --python older/bin/python -o traces/slim examples/older/one_conv.py slim
    tftrace why conv2d traces/slim
    python examples/older/side_by_side.py traces/slim traces/layers traces/keras
"""

import sys
import tempfile

import numpy as np
import tensorflow as tf

v1 = tf.compat.v1
STEPS, BATCH = 20, 32
random = np.random.default_rng(7)
images = random.standard_normal([STEPS * BATCH, 28, 28, 1]).astype(np.float32)
labels = np.eye(10, dtype=np.float32)[random.integers(0, 10, STEPS * BATCH)]


def slim():
    import tf_slim

    with tf.Graph().as_default():
        x = v1.placeholder(tf.float32, [None, 28, 28, 1])
        net = tf_slim.conv2d(x, 8, 3)
        train(x, tf_slim.fully_connected(tf_slim.flatten(net), 10, activation_fn=None))


def layers():
    with tf.Graph().as_default():
        x = v1.placeholder(tf.float32, [None, 28, 28, 1])
        net = v1.layers.conv2d(x, 8, 3, padding="same", activation=tf.nn.relu)
        train(x, v1.layers.dense(v1.layers.flatten(net), 10))


def train(x, logits):
    """A session's own loop, as slim and tf.layers leave it to the user."""
    y = v1.placeholder(tf.float32, [None, 10])
    step = v1.train.GradientDescentOptimizer(0.01).minimize(v1.losses.softmax_cross_entropy(y, logits))
    with v1.Session() as session:
        session.run(v1.global_variables_initializer())
        for at in range(0, len(images), BATCH):
            session.run(step, {x: images[at : at + BATCH], y: labels[at : at + BATCH]})


def keras():
    model = tf.keras.Sequential(
        [
            tf.keras.layers.Conv2D(8, 3, padding="same", activation="relu"),
            tf.keras.layers.Flatten(),
            tf.keras.layers.Dense(10),
        ]
    )
    model.compile("sgd", tf.keras.losses.CategoricalCrossentropy(from_logits=True))
    model.fit(images, labels, batch_size=BATCH, shuffle=False, verbose=0)


def estimator():
    def model_fn(features, labels, mode):
        net = v1.layers.conv2d(features, 8, 3, padding="same", activation=tf.nn.relu)
        logits = v1.layers.dense(v1.layers.flatten(net), 10)
        loss = v1.losses.softmax_cross_entropy(labels, logits)
        step = v1.train.GradientDescentOptimizer(0.01).minimize(loss, v1.train.get_global_step())
        return tf.estimator.EstimatorSpec(mode, loss=loss, train_op=step)

    def input_fn():
        return tf.data.Dataset.from_tensor_slices((images, labels)).batch(BATCH)

    with tempfile.TemporaryDirectory() as place:
        tf.estimator.Estimator(model_fn, place).train(input_fn, steps=STEPS)


def tflearn():
    import tflearn

    with tf.Graph().as_default():
        net = tflearn.input_data(shape=[None, 28, 28, 1])
        net = tflearn.conv_2d(net, 8, 3, activation="relu")
        net = tflearn.fully_connected(net, 10, activation="softmax")
        net = tflearn.regression(net, optimizer="sgd", loss="categorical_crossentropy", batch_size=BATCH)
        tflearn.DNN(net).fit(images, labels, n_epoch=1, batch_size=BATCH, shuffle=False)


WAYS = {way.__name__: way for way in (slim, layers, keras, estimator, tflearn)}

if __name__ == "__main__":
    WAYS[sys.argv[1]]()
