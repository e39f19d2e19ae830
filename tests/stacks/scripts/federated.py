"""A federated sum of a convolution over two clients, twice; TensorFlow Federated's C++ worker runs the ops.

`leave` as argument leaves the worker running behind, as TensorFlow Federated does by itself.
"""

import sys

import numpy as np
import psutil
import tensorflow as tf
import tensorflow_federated as tff

IMAGES = tff.TensorType(np.float32, [2, 16, 16, 8])


@tff.tensorflow.computation(IMAGES)
def convolved(images):
    filters = tf.ones([3, 3, 8, 16])
    return tf.reduce_sum(tf.nn.conv2d(images, filters, 1, "SAME"))  # conv2d


@tff.federated_computation(tff.FederatedType(IMAGES, tff.CLIENTS))
def total(images):
    return tff.federated_sum(tff.federated_map(convolved, images))


ones = np.ones([2, 16, 16, 8], np.float32)
for _ in range(2):
    print(total([ones, ones]), flush=True)  # total
(worker,) = psutil.Process().children()
print("worker", worker.pid, flush=True)
if sys.argv[1:] != ["leave"]:
    worker.terminate()
    worker.wait()
