"""Traces of scripts under older stacks, each recorded once a session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.capture.running import Finished, environment, run
from tftrace.api import load
from tftrace.model.trace import Trace

SCRIPTS = Path(__file__).parent / "scripts"
Stacked = Callable[..., tuple[Trace, Finished]]


@pytest.fixture(scope="session")
def stacked(stack: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Stacked:
    """Records a script of `scripts` under a stack; the trace, and what the script printed. It has to succeed."""
    known: dict[tuple[str, ...], tuple[Trace, Finished]] = {}

    def record(name: str, script: str, *arguments: str) -> tuple[Trace, Finished]:
        key = (name, script, *arguments)
        if key not in known:
            place = tmp_path_factory.mktemp(Path(script).stem) / "trace"
            done = run(
                SCRIPTS / script, *arguments, traced_to=place, python=stack(name),
                env=environment(TF_CPP_MIN_LOG_LEVEL="2"),
            )  # fmt: skip
            assert done.exit_status == 0, done.stderr.decode("utf-8", "replace")
            known[key] = load(place), done
        return known[key]

    return record
