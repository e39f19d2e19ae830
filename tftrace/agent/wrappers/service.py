"""Traces functions, one after another, for `tftrace wrappers`, in the interpreter that has them.

Told by a plan in a JSON file, it says on a pipe to the parent, a JSON object a line:

| message | meaning |
|---|---|
| {"versions": {..}} | TensorFlow is imported |
| {"refused": kind, "message"} | a name cannot be resolved, TensorFlow is missing or too old: nothing is traced |
| {"functions": [{"name", "names", "others", "doc", ..}]} | what the names stand for, in order |
| {"begin": i} | function i is being called from here on |
| {"calling": true} | one of its calls, or of a native function that may do the same, begins |
| {"done": i, "record": {..}} | what was recorded of it |
| {"renew": i, "because": [..]} | it changed the process for good; the next one needs a new process |
| {"end": true} | all done |

The parent watches the time. A function that hangs, crashes the interpreter or asks for too much memory costs this
process; the parent starts another one behind that function.
"""

import json
import os
import sys
import traceback
from typing import Any, Dict, List, Set

from .. import contract
from ..pystacks import code_of
from . import guard, naming


class Pipe:
    def __init__(self, fd: int) -> None:
        os.set_inheritable(fd, False)  # a process that a function under test starts must not hold it open
        self.file = os.fdopen(fd, "w", encoding="utf-8", errors="backslashreplace")
        os.register_at_fork(after_in_child=self.silence)

    def silence(self) -> None:
        """A fork has nothing to tell the parent, which would hear of a function twice."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.file.fileno(), inheritable=False)
        os.close(nowhere)

    def say(self, **message: Any) -> None:
        self.file.write(json.dumps(message, default=str) + "\n")
        self.file.flush()


def main(plan_file: str, fd: int) -> None:
    with open(plan_file, encoding="utf-8") as file:
        plan = json.load(file)
    pipe = Pipe(fd)
    guard.end_with_parent(plan["parent"])
    sys.path.append(plan["directory"])  # modules of the user's, where the command was given
    try:
        import tensorflow as tf
    except BaseException as error:
        last = traceback.format_exception_only(type(error), error)[-1].strip().splitlines()
        pipe.say(refused="tensorflow", message=last[0] if last else type(error).__name__)
        return
    if contract.release(tf.__version__) < contract.OLDEST_TENSORFLOW:
        pipe.say(refused="version", message=str(tf.__version__))
        return
    pipe.say(versions=versions(tf))
    work(plan, pipe, tf)


def versions(tf: Any) -> Dict[str, str]:
    found = {
        "python": sys.version.split()[0],
        "executable": sys.executable,
        "tensorflow": str(tf.__version__),
    }
    try:
        root = sys.modules[tf.keras.backend.floatx.__module__.split(".")[0]]
        found["keras"] = str(root.__version__)
    except Exception:
        pass
    return found


def work(plan: Dict[str, Any], pipe: Pipe, tf: Any) -> None:
    from . import outcome, recipes, tracing  # they need numpy, which comes with TensorFlow
    from .calls import Recorder
    from .running import Runner

    targets: List[Any] = []
    try:
        for name in plan["names"]:
            targets += naming.functions(name)
    except naming.UnknownNameError as error:
        pipe.say(refused=error.kind, message=str(error))
        return
    names = naming.Names([n.split(".")[0] for n in plan["names"]])
    if plan["natives"]:
        targets = [(n, f) for n, f in names.natives() if recipes.worth_calling(n)]
    targets = list(dict(targets).items())
    pipe.say(functions=[facts(name, function, names) for name, function in targets])
    if plan["only_resolve"]:
        pipe.say(end=True)
        return
    index = {}
    if plan.get("index"):
        with open(plan["index"], encoding="utf-8") as file:
            index = json.load(file)["signatures"]
    runner = Runner(Recorder(), lambda: pipe.say(calling=True))
    tracer = tracing.Tracer(runner, names, index, recipes.Recipes())
    done: Set[str] = set(plan["done"])
    tf.constant(0.0) + 1.0  # the runtime is there before memory is counted
    guard.limit(plan["memory_mb"])
    before = guard.state()
    for number, (name, function) in enumerate(targets):
        if name in done:
            continue
        pipe.say(begin=number)
        try:
            record = tracer.trace(name, function, plan["natives"])
        except BaseException as error:  # SystemExit too: nothing a function raises ends the worker
            record = {"name": name, "status": "failed", "reason": outcome.line(error), "cases": []}
            if not isinstance(error, Exception):
                record["reason"] = "it raised %s" % outcome.line(error)
        pipe.say(done=number, record=record)
        different = guard.changed(before, guard.state())
        if different:
            guard.restore(before, different)
            different = guard.changed(before, guard.state())
        if different:
            pipe.say(renew=number, because=different)
            return
    pipe.say(end=True)


def facts(name: str, function: Any, names: Any) -> Dict[str, Any]:
    """What is known of a function without calling it."""
    code = code_of(function)
    doc = getattr(function, "__doc__", None)
    return {
        "name": name,
        "names": names.of(function),
        "others": names.others(name, function),
        "module": str(getattr(function, "__module__", "") or ""),
        "file": code.co_filename if code is not None else None,
        "line": code.co_firstlineno if code is not None else None,
        "doc": doc[:4000] if isinstance(doc, str) else None,
    }
