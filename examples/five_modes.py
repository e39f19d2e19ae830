"""One small convolutional network, trained for a few steps in one of five modes: eager, function, session, xla, fit.

The arithmetic is the same; what TensorFlow runs is not. Give the mode as an argument, and look at one line in each.

    tftrace run -o traces/five_modes examples/five_modes.py
    tftrace summary traces/five_modes
    tftrace why conv2d traces/five_modes
"""

import sys

import numpy as np
import tensorflow as tf

mode = sys.argv[1] if len(sys.argv) > 1 else "eager"
steps = 10
tf.keras.utils.set_random_seed(7)
rng = np.random.default_rng(7)
images = rng.standard_normal([32, 28, 28, 1], dtype=np.float32)
labels = rng.integers(0, 10, [32], dtype=np.int32)
start = [
    (rng.standard_normal(shape) * 0.1).astype(np.float32)
    for shape in ([3, 3, 1, 16], [16], [3, 3, 16, 32], [32], [12 * 12 * 32, 10])
]


def network(x, w1, b1, w2, b2, w3):
    scale = tf.sqrt(tf.constant(2.0)) / tf.constant(1.5)
    x = tf.nn.conv2d(x * scale, w1, 1, "VALID")
    x = tf.nn.relu(tf.nn.bias_add(x, b1))
    x = tf.nn.conv2d(x, w2, 1, "VALID")
    x = tf.nn.relu(tf.nn.bias_add(x, b2))
    tf.reduce_max(x)  # nobody asks for it
    x = tf.nn.max_pool2d(x, 2, 2, "VALID")
    return tf.matmul(tf.reshape(x, [-1, 12 * 12 * 32]), w3)


def loss_of(x, y, weights):
    logits = network(x, *weights)
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits))


def by_hand(wrap):
    weights = [tf.Variable(value) for value in start]
    momenta = [tf.Variable(tf.zeros_like(w)) for w in weights]

    def step(x, y):
        with tf.GradientTape() as tape:
            loss = loss_of(x, y, weights)
        gradients = tape.gradient(loss, weights)
        for i, gradient in enumerate(gradients):
            momenta[i].assign(0.9 * momenta[i] + gradient)
            weights[i].assign_sub(0.01 * momenta[i])
        return loss

    step = wrap(step)
    x, y = tf.constant(images), tf.constant(labels)
    for _ in range(steps):
        loss = step(x, y)
    return float(loss)


def in_session():
    v1 = tf.compat.v1
    with tf.Graph().as_default():
        x = v1.placeholder(tf.float32, [None, 28, 28, 1])
        y = v1.placeholder(tf.int32, [None])
        weights = [v1.get_variable(f"w{i}", initializer=value) for i, value in enumerate(start)]
        loss = loss_of(x, y, weights)
        train = v1.train.MomentumOptimizer(0.01, 0.9).minimize(loss)
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            for _ in range(steps):
                value, _ = session.run([loss, train], {x: images, y: labels})
    return float(value)


def keras_fit():
    class Net(tf.keras.Model):
        def __init__(self):
            super().__init__()
            self.parts = [
                self.add_weight(shape=v.shape, initializer=tf.keras.initializers.Constant(v)) for v in start
            ]

        def call(self, x):
            return network(x, *[part.value for part in self.parts])

    net = Net()
    net.compile(
        tf.keras.optimizers.SGD(0.01, momentum=0.9),
        tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    history = net.fit(images, labels, batch_size=32, epochs=steps, verbose=0)
    return history.history["loss"][-1]


RUN = {
    "eager": lambda: by_hand(lambda step: step),
    "function": lambda: by_hand(tf.function),
    "xla": lambda: by_hand(tf.function(jit_compile=True)),
    "session": in_session,
    "fit": keras_fit,
}
print(mode, "loss:", round(RUN[mode](), 3))
