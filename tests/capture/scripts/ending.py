"""Ends in the way its first argument names, after work of TensorFlow's where a second one asks for it."""

import os
import select
import signal
import sys


def work():
    import tensorflow as tf

    for _ in range(200):
        tf.nn.relu(tf.ones([4]))
        tf.nn.conv2d(tf.ones([1, 8, 8, 8]), tf.ones([3, 3, 8, 8]), 1, "SAME")


def wait():
    """Says so and waits for good; an interrupt ends it with one traceback, wherever it was met.

    What wakes it is written by the signal's own handler, in C, so none comes too early to be seen.
    """
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.set_wakeup_fd(wakes)
    try:
        print("waiting", flush=True)
        while True:
            select.select([woken], [], [])
    except KeyboardInterrupt:
        raise KeyboardInterrupt from None


def main():
    how = sys.argv[1]
    if "work" in sys.argv:
        work()
    if how == "raise":
        raise ValueError("what the script found wrong")
    if how == "chain":
        try:
            {}["missing"]
        except KeyError as error:
            raise RuntimeError("a consequence") from error
    if how == "exit":
        sys.exit(3)
    if how == "exit text":
        sys.exit("a last word")
    if how == "os._exit":
        print("before the end", flush=True)
        os._exit(4)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if how == "wait":
        wait()


main()
