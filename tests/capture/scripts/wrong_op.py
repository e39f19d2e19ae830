"""TensorFlow errors that pass through every hook on their way to the user."""

import sys
import traceback

import tensorflow as tf


@tf.function
def multiply(a, b):
    if tf.reduce_sum(a) > 0:
        a = a + 1.0
    return tf.matmul(a, b)


def attempt(name, call):
    try:
        call()
    except Exception:
        print("==", name)
        print(traceback.format_exc())


def in_session():
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        value = tf.compat.v1.placeholder(tf.float32, [None])
        session.run(tf.debugging.check_numerics(value, "not a number"), {value: [float("nan")]})


x = tf.ones([2, 3])
attempt("eager", lambda: tf.matmul(x, x))
attempt("raw op", lambda: tf.raw_ops.MatMul(a=x, b=x))
attempt("tracing", lambda: multiply(x, x))
attempt(
    "function",
    lambda: tf.function(lambda v: tf.debugging.check_numerics(v, "bad"))(tf.constant([float("nan")])),
)
attempt("wrong type", lambda: tf.nn.conv2d("text", 3, 1, "SAME"))
attempt("keras", lambda: tf.keras.layers.Dense(2)(tf.ones([2])))
attempt("session", in_session)
sys.stdout.flush()
tf.matmul(x, x)
