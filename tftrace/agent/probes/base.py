"""The protocol of a probe: prepare (before TensorFlow), start, tick, stop, status. One file a probe."""

from typing import TYPE_CHECKING, Any, Dict, Optional

if TYPE_CHECKING:
    from ..session import Session


class Probe:
    name = ""
    applies = True  # whether the process has anything to do with it

    def __init__(self, session: "Session") -> None:
        self.session = session
        self.running = False
        self.disabled = False
        self.failed = False
        self.reason: Optional[str] = None
        self.partly: Optional[str] = None

    def prepare(self) -> None:
        """Before TensorFlow is imported: the environment it will read."""

    def start(self) -> None:
        """TensorFlow is imported. Sets `running`, or calls `unavailable`."""

    def tick(self, now: float) -> None:
        """Every few dozen milliseconds, on the session's own thread."""

    def stop(self) -> None:
        """Puts everything back as it was."""
        self.running = False

    def release(self) -> None:
        """After the session: the environment as it was, for a process that goes on without tftrace."""

    def before_reopen(self) -> None:
        """In a forked child, before its own directory exists."""

    def reopen(self) -> None:
        """In a forked child: go on in the session's new directory."""

    def counts(self) -> Dict[str, Any]:
        return {"events": None, "lost": None}

    def unavailable(self, reason: str) -> None:
        self.disabled, self.reason = True, reason

    def fail(self, reason: str) -> None:
        self.failed, self.disabled, self.running, self.reason = True, True, False, reason

    def status(self) -> Dict[str, Any]:
        if self.failed:
            state, reason = "failed", self.reason
        elif self.disabled:
            state, reason = "unavailable", self.reason
        elif self.partly:
            state, reason = "partly", self.partly
        elif self.session.tensorflow is None:
            state, reason = "unavailable", "the process did not import TensorFlow"
        else:
            state, reason = "ok", None
        return dict({"name": self.name, "status": state, "reason": reason}, **self.counts())
