"""What keeps a process that tries functions from outliving who started it, and from being heard twice."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FORKING = """
import os, sys, time
from tftrace.agent.wrappers import guard
from tftrace.agent.wrappers.service import Pipe
guard.end_with_parent(os.getppid())
pipe = Pipe(int(sys.argv[1]))
child = os.fork()
pipe.say(**({"said_by": "the fork"} if child == 0 else {"forked": child}))
if child == 0:
    time.sleep(600)
sys.stdin.read()
os._exit(0)
"""


def test_a_fork_of_the_worker_says_nothing_and_ends_with_it() -> None:
    ours, theirs = os.pipe()
    worker = subprocess.Popen(
        [sys.executable, "-c", FORKING, str(theirs)],
        stdin=subprocess.PIPE, pass_fds=(theirs,), cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    os.close(theirs)
    with os.fdopen(ours) as said:
        first = said.readline()
        child = os.pidfd_open(int(first.partition(":")[2].strip(" }\n")))
        try:
            worker.communicate(timeout=60)
            ended, _, _ = select.select([child], [], [], 60)
            assert ended
            assert said.read() == ""
        finally:
            os.close(child)
