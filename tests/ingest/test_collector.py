"""The collector rests inside, and is afterwards as it was."""

from __future__ import annotations

import gc

import pytest

from tftrace.ingest.collector import resting


def fails(seen: list[bool]) -> None:
    with resting():
        seen.append(gc.isenabled())
        seen[0] /= 0  # type: ignore[assignment]


@pytest.mark.parametrize("before", [True, False])
def test_the_collector_is_as_it_was_even_after_an_error(before: bool) -> None:
    was = gc.isenabled()
    try:
        (gc.enable if before else gc.disable)()
        seen: list[bool] = []
        with pytest.raises(ZeroDivisionError):
            fails(seen)
        assert seen == [False]
        assert gc.isenabled() == before
    finally:
        (gc.enable if was else gc.disable)()
