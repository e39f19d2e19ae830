"""Documents of `tftrace wrappers`, each made once a session."""

from __future__ import annotations

from functools import cache
from typing import Any

from tftrace.analysis import wrappers
from tftrace.capture.wrappers import Limits, Traced, trace

OLDER = "tf215_estimator_slim"
"""The stack (fixture `stack`) with TensorFlow 2.15, so Keras 2, and tf_slim."""


@cache
def traced(
    *names: str, python: str | None = None, limits: Limits | None = None
) -> tuple[Traced, dict[str, Any]]:
    return trace(names, python, limits)


@cache
def document(*names: str, python: str | None = None) -> dict[str, Any]:
    found, index = traced(*names, python=python)
    return wrappers.document(names, found.versions, found.functions, found.records, index)


def functions(*names: str, python: str | None = None) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in document(*names, python=python)["functions"]}
