"""Where one execution of an op ends and the next begins, among what it launched."""

import numpy as np
import pytest

from tftrace.correlate.profiles.op_runs import _boundaries


@pytest.mark.parametrize(
    ("tid", "node", "scope", "begins"),
    [
        ([1, 1, 1, 1], [5, 5, 6, 5], [-1, -1, -1, -1], [0, 2, 3]),
        ([1, 1, 2, 2], [5, 5, 5, 5], [-1, -1, -1, -1], [0, 2]),
        ([1] * 5, [5] * 5, [9, 10, 10, 9, 12], [0, 4]),  # the autotuner's scope lies within its op's
        ([1] * 5, [5] * 5, [9, -1, 12, -1, 13], [0, 1, 3]),  # an allocation goes with what follows it
        ([1] * 3, [5, 6, 6], [12, 9, 9], [0, 1]),
        ([1] * 4, [5] * 4, [9, 10, 12, 10], [0, 1]),
        ([], [], [], []),
    ],
)
def test_executions_begin_where_op_thread_or_scope_change(
    tid: list[int], node: list[int], scope: list[int], begins: list[int]
) -> None:
    found = _boundaries(*(np.array(v, np.int64) for v in (tid, node, scope)))
    assert np.flatnonzero(found).tolist() == begins
