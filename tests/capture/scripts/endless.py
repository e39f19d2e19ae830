"""Runs eager ops until it is killed; tells how many of each are done, in a file that survives it."""

import mmap
import sys

import tensorflow as tf

with open(sys.argv[1], "wb+") as file:
    file.truncate(8)
    done = mmap.mmap(file.fileno(), 8)
x, y, w = tf.ones([4]), tf.ones([1, 8, 8, 8]), tf.ones([3, 3, 8, 8])
count = 0
while True:
    tf.nn.relu(x)
    tf.nn.conv2d(y, w, 1, "SAME")
    count += 1
    done[:8] = count.to_bytes(8, "little")
    if count == 2000:
        print("in the middle", flush=True)
