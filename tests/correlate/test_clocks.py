"""The time line does not move when the wall clock is set, and is exact at the samples."""

from __future__ import annotations

import numpy as np
import pytest

from tftrace.agent import contract
from tftrace.correlate.clocks import Clock

EPOCH = 1_790_000_000_000_000_000


def samples(*rows: tuple[int, int, int]) -> np.ndarray:
    return np.array(list(rows), np.dtype(contract.CLOCK.dtype))


def test_raw_times_become_epoch_times_of_the_first_sample() -> None:
    clock = Clock(samples((100, EPOCH, 5_000), (1_000_100, EPOCH + 1_000_000, 1_005_000)))
    assert clock.from_raw(np.array([100, 600_100, 1_000_100])).tolist() == [
        EPOCH,
        EPOCH + 600_000,
        EPOCH + 1_000_000,
    ]


def test_a_slower_raw_clock_is_stretched_between_samples() -> None:
    clock = Clock(samples((0, EPOCH, 0), (1_000_000, EPOCH + 1_000_100, 1_000_100)))
    assert clock.from_raw(np.array([500_000]))[0] == EPOCH + 500_050
    assert clock.from_raw(np.array([2_000_000]))[0] == EPOCH + 2_000_200


def test_a_step_of_the_wall_clock_moves_nothing() -> None:
    hour = 3_600_000_000_000
    clock = Clock(
        samples((0, EPOCH, 0), (1_000, EPOCH + 1_000 + hour, 1_000), (2_000, EPOCH + 2_000 + hour, 2_000))
    )
    assert clock.from_raw(np.array([1_500]))[0] == EPOCH + 1_500
    # what a library read from the wall clock after the step lands at the same place
    assert clock.from_wall(np.array([EPOCH + 1_500 + hour]), 1_500)[0] == EPOCH + 1_500
    assert clock.steps == 1


def test_one_sample_is_enough_and_none_is_not() -> None:
    assert Clock(samples((10, EPOCH, 20))).from_raw(np.array([15]))[0] == EPOCH + 5
    with pytest.raises(ValueError, match="no clock samples"):
        Clock(samples())
