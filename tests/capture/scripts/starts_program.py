"""Starts a program without Python before an op of its own ran, and again after it; says what is set of oneDNN."""

import os
import subprocess
import sys

import tensorflow as tf


def start():
    print([name for name in os.environ if "VERBOSE" in name], flush=True)
    subprocess.run(sys.argv[1:], check=True)


start()
tf.nn.conv2d(tf.ones([2, 16, 16, 8]), tf.ones([3, 3, 8, 16]), 1, "SAME")
start()
