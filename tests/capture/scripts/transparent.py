"""Everything through which a script can notice that it is watched: streams, argv, threads, environment."""

import ctypes
import json
import os
import subprocess
import sys
import threading

import tensorflow as tf

LIBC = ctypes.CDLL(None)


def say(**facts):
    print(json.dumps(facts, sort_keys=True))


def main():
    say(name=__name__, argv=sys.argv, path0=sys.path[0], doc=sys.modules["__main__"].__doc__)
    say(terminals=[os.isatty(fd) for fd in (0, 1, 2)], stdin=sys.stdin.readline())
    # C's own buffer is flushed when C likes: a library that flushes it sooner would change the order of lines
    LIBC.printf(b"printf before the convolution\n")
    image, kernel = tf.ones([8, 56, 56, 64]), tf.ones([3, 3, 64, 64])
    for _ in range(40):
        result = tf.nn.conv2d(image, kernel, strides=1, padding="SAME")
    LIBC.printf(b"onednn_verbose,v1,but this line is the script's own\n")
    os.write(1, b"os.write to 1\n")
    os.write(2, b"os.write to 2\n")
    print("print", float(tf.reduce_sum(result)))
    tf.print("tf.print to stdout", tf.constant([1, 2]), output_stream=sys.stdout)
    tf.print("tf.print to stderr", tf.constant([1, 2]))
    sys.stdout.flush()
    subprocess.run([sys.executable, "-c", "print('a child of Python')"], check=True)
    subprocess.run(["sh", "-c", "echo a child of the shell; echo and its stderr >&2"], check=True)
    say(threads=sorted(t.name for t in threading.enumerate()), excepthook=repr(sys.excepthook))
    say(modules=sorted(m for m in sys.modules if "tftrace" in m and not m.startswith("_tftrace_agent")))
    with open(os.environ["REPORT"], "w") as file:
        json.dump(dict(os.environ), file)


if __name__ == "__main__":
    main()
