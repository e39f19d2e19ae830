"""Ends in the way its first argument names, after work of TensorFlow's where a second one asks for it."""

import os
import signal
import sys
import threading


def work():
    import tensorflow as tf

    for _ in range(200):
        tf.nn.relu(tf.ones([4]))
        tf.nn.conv2d(tf.ones([1, 8, 8, 8]), tf.ones([3, 3, 8, 8]), 1, "SAME")


def say_once_at(line):
    """Says so when the main thread is at that line: a signal that follows always ends it there."""
    while sys._current_frames()[threading.main_thread().ident].f_lineno != line:
        pass
    print("waiting", flush=True)


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
        threading.Thread(target=say_once_at, args=(sys._getframe().f_lineno + 1,), daemon=True).start()
        signal.pause()


main()
