"""`tftrace tune`: replays convolutions under every algorithm that this machine offers, and makes a trace of it."""

from tftrace.tuning.request import TuneRequest
from tftrace.tuning.session import Tuned, offered, tune

__all__ = ["TuneRequest", "Tuned", "offered", "tune"]
