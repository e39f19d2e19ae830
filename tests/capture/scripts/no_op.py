"""Imports TensorFlow and runs nothing."""

import tensorflow as tf

print(tf.__name__)
