"""Runs one op in itself and in children of every kind: forked, by a fork server, spawned, Python as another program."""

import multiprocessing
import os
import subprocess
import sys

import tensorflow as tf


def work(number):
    assert float(tf.reduce_sum(tf.nn.relu(tf.ones([number])))) == number
    return os.getpid()


def told():
    print(multiprocessing.current_process().name, work(3), flush=True)


if __name__ == "__main__":
    if "inner" in sys.argv:
        print("subprocess", work(2), flush=True)
        sys.exit(0)
    # forked first: a process whose TensorFlow has threads cannot be forked safely
    forked = multiprocessing.get_context("fork").Process(target=told, name="fork")
    forked.start()
    forked.join()
    served = multiprocessing.get_context("forkserver").Process(target=told, name="forkserver")
    served.start()
    served.join()
    spawned = multiprocessing.get_context("spawn").Process(target=told, name="spawn")
    spawned.start()
    spawned.join()
    assert forked.exitcode == served.exitcode == spawned.exitcode == 0
    subprocess.run([sys.executable, __file__, "inner"], check=True)
    print("main", work(7), flush=True)
