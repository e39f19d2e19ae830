"""A forked child and a spawned one, both of which run ops; the parent runs none before it forks."""

import multiprocessing
import os
import sys

import tensorflow as tf


def work(number):
    assert float(tf.reduce_sum(tf.nn.relu(tf.ones([number])))) == number


if __name__ == "__main__":
    child = os.fork()
    if child == 0:
        work(3)
        sys.exit(0)
    assert os.waitpid(child, 0)[1] == 0
    spawned = multiprocessing.get_context("spawn").Process(target=work, args=(5,))
    spawned.start()
    spawned.join()
    assert spawned.exitcode == 0
    work(7)
    print("forked", child, "spawned", spawned.pid)
