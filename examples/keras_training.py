"""A small convolutional network, trained for a few steps by Keras.

Look at how few Python lines end in how many kernels: `fit` is the caller, the layers' calls made the
nodes, and the gradients have no line of yours at all. `--steady` leaves the tracing of the first step
out of the sums.

    tftrace run -o traces/keras_training examples/keras_training.py
    tftrace summary traces/keras_training --steady
    tftrace why 'Conv2DBackprop*' traces/keras_training
"""

import tensorflow as tf

tf.keras.utils.set_random_seed(7)
images = tf.random.normal([256, 28, 28, 1])
labels = tf.random.uniform([256], maxval=10, dtype=tf.int32)

model = tf.keras.Sequential(
    [
        tf.keras.layers.Conv2D(16, 3, activation="relu"),
        tf.keras.layers.Conv2D(32, 3, activation="relu"),
        tf.keras.layers.MaxPooling2D(),
        tf.keras.layers.Flatten(),
        tf.keras.layers.Dense(10),
    ]
)
model.compile("sgd", tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True))
history = model.fit(images, labels, batch_size=32, epochs=2, verbose=0)

print("steps:", 2 * len(images) // 32)
