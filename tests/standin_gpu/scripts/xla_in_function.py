"""Two convolutions compiled by XLA within a function that is not, as Keras' fit has it."""

import tensorflow as tf

IMAGE = tf.ones([2, 16, 16, 8])
FIRST = tf.ones([3, 3, 8, 16])
SECOND = tf.ones([3, 3, 16, 16])


@tf.function(jit_compile=True)
def model(image):
    return tf.nn.conv2d(tf.nn.relu(tf.nn.conv2d(image, FIRST, 1, "SAME")), SECOND, 1, "VALID")


@tf.function
def steps(image):
    return tf.reduce_sum(model(image)) + tf.reduce_sum(model(image))


for _ in range(3):
    result = steps(IMAGE)
print(result.device, result.shape)
result.numpy()
