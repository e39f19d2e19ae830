"""Found first on PYTHONPATH by every Python process below `tftrace run`: starts the agent, then steps out of the way.

The script itself is run by the interpreter as always, so `__main__`, argv, tracebacks, signals and exit status are
its own. A sitecustomize of the user's environment runs afterwards, as it would have without tftrace.
"""

import importlib.machinery
import importlib.util
import os
import sys

_here = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [p for p in sys.path if os.path.abspath(p or ".") != _here]


def _start():
    agent = os.path.dirname(_here)
    spec = importlib.util.spec_from_file_location(
        "_tftrace_agent", os.path.join(agent, "__init__.py"), submodule_search_locations=[agent]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules["_tftrace_agent"] = module
    spec.loader.exec_module(module)
    from _tftrace_agent import bootstrap

    bootstrap.start_from_environment()


def _chain():
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize")
    if spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


if os.environ.get("TFTRACE_RAW"):
    try:
        _start()
    except Exception as error:  # the script has to run whatever happens here
        try:
            with open(
                os.path.join(os.environ["TFTRACE_RAW"], "agent-error-%d.txt" % os.getpid()), "w"
            ) as file:
                file.write("%s: %s\n" % (type(error).__name__, error))
        except OSError:
            pass
_chain()
