"""Runs compared: the algorithm that each problem got, and what ops and kernels cost, in a baseline and in others.

The first run is the baseline. Nothing here plots or prints; times are in microseconds, positive differences are slower.
"""

from tftrace.analysis.comparison.comparison import Comparison, compare

__all__ = ["Comparison", "compare"]
