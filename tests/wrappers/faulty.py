"""Functions that do what functions should not: hang, end the interpreter, ask for all memory, change the process."""

import ctypes
import os
import subprocess
import sys

import numpy
import tensorflow as tf


def a_good_one(x):
    return tf.abs(x)


def allocates(x):
    return numpy.ones(1 << 38).sum() + x


def allocates_in_the_runtime(x):
    return tf.ones([1 << 18, 1 << 18]) + x


def changes_the_environment(x):
    os.environ["FAULTY"] = "1"
    os.chdir("/")
    return tf.abs(x)


def convolves(x, filters):
    return tf.nn.conv2d(x, filters, 1, "SAME")


@tf.function
def compiled(x):
    return tf.abs(x)


async def gives_a_coroutine(x):
    return tf.abs(x)


def gives_a_generator(x):
    while True:
        yield tf.abs(x)


def crashes(x):
    ctypes.string_at(0)


def exits(x):
    os._exit(7)


def hangs(x):
    while True:
        pass


def leaves_a_child(x):
    subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(600)", "left by tests/wrappers/faulty.py"],
        start_new_session=True,
    )
    return tf.abs(x)


def raises(x):
    raise ValueError("on purpose\x1b[31m")


def raises_system_exit(x):
    raise SystemExit(3)


def the_environment_is_as_it_was(x):
    assert "FAULTY" not in os.environ
    assert os.getcwd() != "/"
    return tf.abs(x)


def turns_numpy_behaviour_on(x):
    tf.experimental.numpy.experimental_enable_numpy_behavior()
    return tf.abs(x)


def very_good_too(x):
    assert not hasattr(tf.Tensor, "ravel")
    return tf.exp(x)
