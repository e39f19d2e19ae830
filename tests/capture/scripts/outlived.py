"""Starts a worker in a session of its own, which runs an op, says so and goes on; the script ends at once."""

import os
import signal
import subprocess
import sys

import tensorflow as tf


def work():
    assert float(tf.reduce_sum(tf.nn.relu(tf.ones([3])))) == 3


if "worker" in sys.argv:
    work()
    os.write(int(sys.argv[-1]), b"x")
    while True:
        signal.pause()
reading, writing = os.pipe()
worker = subprocess.Popen(
    [sys.executable, __file__, "worker", str(writing)],
    pass_fds=[writing], start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
)  # fmt: skip
os.read(reading, 1)
work()
print(worker.pid, flush=True)
