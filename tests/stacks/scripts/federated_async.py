"""Two computations of TensorFlow Federated at once, twice, and one that fails in the worker."""

import asyncio

import numpy as np
import psutil
import tensorflow as tf
import tensorflow_federated as tff

tff.backends.native.set_async_local_cpp_execution_context()
IMAGES = tff.TensorType(np.float32, [2, 16, 16, 8])
ones = np.ones([2, 16, 16, 8], np.float32)


@tff.tensorflow.computation(IMAGES)
def convolved(images):
    return tf.reduce_sum(tf.nn.conv2d(images, tf.ones([3, 3, 8, 16]), 1, "SAME"))  # conv2d


@tff.tensorflow.computation(IMAGES)
def pooled(images):
    return tf.reduce_sum(tf.nn.max_pool2d(images, 2, 2, "SAME"))  # pool


@tff.tensorflow.computation(IMAGES)
def failing(images):
    with tf.control_dependencies([tf.debugging.assert_less(images, 0.5)]):
        return tf.reduce_sum(images)


async def main():
    for _ in range(2):
        print(await asyncio.gather(convolved(ones), pooled(ones)))  # both
    try:
        await failing(ones)
    except Exception as error:
        frames, at = [], error.__traceback__
        while at is not None:
            frames.append(at.tb_frame.f_code.co_name)
            at = at.tb_next
        print(frames)


asyncio.run(main())
for worker in psutil.Process().children():
    worker.terminate()
