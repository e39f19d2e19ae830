"""Starts a session in a process that inherited tftrace's environment."""

import atexit
import json
import os
import sys

from . import contract, importhook
from .session import Session


def start_from_environment() -> None:
    raw = os.environ[contract.ENV_RAW]
    options = json.loads(os.environ.get(contract.ENV_OPTIONS) or "{}")
    session = Session(raw, options)
    # before anything of the user's registers a handler: handlers run last in, first out
    atexit.register(session.stop)
    os.register_at_fork(after_in_child=session.guarded(session.after_fork))
    if "tensorflow" in sys.modules:
        session.tensorflow_imported()
    else:
        importhook.after_import("tensorflow", session.tensorflow_imported)
