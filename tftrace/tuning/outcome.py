"""What the recorded pass of one candidate tells."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from tftrace.capture.settings import Candidate

LEAST_S: Final = 5.0
Job = tuple[int, Candidate, dict[str, Any]]
"""Number of the problem, candidate, problem as it is replayed."""


@dataclass(frozen=True)
class Outcome:
    """What ran, or `reason`: why the candidate cannot be run.

    `lines`: what oneDNN printed in one call, which took about `steady_us`; `library`: the call into cuDNN, with its
    engine and knobs; `tried`: what the autotuner tried for it.
    """

    lines: list[str] = field(default_factory=list)
    version: str | None = None
    isa: str | None = None
    steady_us: float | None = None
    library: dict[str, Any] | None = None
    tried: list[dict[str, Any]] = field(default_factory=list)
    status: str = "ok"
    reason: str | None = None
