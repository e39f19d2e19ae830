"""The script that `tftrace wrappers` runs in another interpreter: loads the agent there and starts `service`.

python worker.py PLAN FD
"""

import importlib
import importlib.util
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def _load_agent() -> None:
    """The agent as a package of its own, whatever is installed in this interpreter."""
    sys.path[:] = [p for p in sys.path if os.path.abspath(p or ".") != HERE]
    agent = os.path.dirname(HERE)
    spec = importlib.util.spec_from_file_location(
        "_tftrace_agent", os.path.join(agent, "__init__.py"), submodule_search_locations=[agent]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["_tftrace_agent"] = module
    spec.loader.exec_module(module)


if __name__ == "__main__":
    _load_agent()
    importlib.import_module("_tftrace_agent.wrappers.service").main(sys.argv[1], int(sys.argv[2]))
    os._exit(0)  # whatever threads the functions left
