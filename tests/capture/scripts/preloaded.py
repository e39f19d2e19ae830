"""Says what the environment preloads, that other programs run with it, and convolves."""

import os
import subprocess

import tensorflow as tf

print(os.environ.get("LD_PRELOAD", "").split()[1:])
print(subprocess.run(["true"]).returncode)
print(tf.nn.conv2d(tf.ones([2, 16, 16, 8]), tf.ones([3, 3, 8, 16]), 1, "SAME").shape)
