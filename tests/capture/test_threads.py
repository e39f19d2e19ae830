"""What runs on a thread of its own leads back to the line that started the thread, unless that is a pool's."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.capture.running import SCRIPTS
from tftrace.analysis.chain import Group, why
from tftrace.model.trace import Trace

pytestmark = [pytest.mark.tf, pytest.mark.slow]
LINE = {
    line.rpartition("# ")[2].strip(): number
    for number, line in enumerate((SCRIPTS / "threads.py").read_text().splitlines(), 1)
    if "# " in line
}


@pytest.fixture(scope="module")
def trace(recorded: Callable[..., Trace]) -> Trace:
    return recorded("threads.py")


def of(trace: Trace, op: str, mode: str) -> list[Group]:
    return [group for group in why(trace, op) if group.mode == mode]


def lines(groups: list[Group]) -> set[int | None]:
    return {group.python.line if group.python else None for group in groups}


def rules(groups: list[Group]) -> set[str | None]:
    return {group.chain[0].rule for group in groups}


def test_a_replica_of_keras_fit_leads_back_to_the_line_of_fit(trace: Trace) -> None:
    groups = of(trace, "conv2d", "function")
    assert lines(groups) == {LINE["fit"]}
    assert rules(groups) == {"thread start"}
    assert {group.chain[1].name for group in groups} == {"keras.Sequential.fit"}
    assert {group.device for group in groups} == {"/device:CPU:0", "/device:CPU:1"}


def test_a_line_of_the_users_own_on_the_thread_comes_first_and_the_thread_s_start_is_a_caller(
    trace: Trace,
) -> None:
    groups = of(trace, "elu", "function")
    assert lines(groups) == {LINE["replica"]}
    assert rules(groups) == {None}, "the line stands on the thread's own stack"
    for group in groups:
        assert group.caller is not None
        assert group.caller.line == LINE["step"]


def test_an_eager_op_is_that_of_the_line_that_started_its_thread(trace: Trace) -> None:
    groups = of(trace, "relu", "eager")
    assert {(g.python.line, g.count) for g in groups if g.python} == {
        (LINE["thread"], 2),
        (LINE["other thread"], 1),
    }, "two threads with the same function, told apart by who started them"
    assert rules(groups) == {"thread start"}
    assert {group.chain[1].name for group in groups} == {"tf.nn.relu"}


def test_a_pool_s_thread_serves_whoever_comes(trace: Trace) -> None:
    (group,) = of(trace, "selu", "eager")
    assert group.python is None
    assert group.chain[0].reason == "no frame of the user's own was on the stack"
    assert group.chain[1].name == "tf.nn.selu"
