"""Gates: their grammar, and both ways in which each can end."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tftrace.analysis.comparison.gates import Gate, judge, parse, verdict
from tftrace.errors import UsageError

PLAIN = (
    "algorithm-changed",
    "unexplained",
    "problem-missing",
    "problem-new",
    "op-missing",
    "op-new",
    "unjudged",
)
TIMED = ("slower", "op-slower")
BLANK = st.text(" \t", max_size=2)
NUMBER = st.from_regex(r"[0-9]{1,9}(\.[0-9]{1,3})?", fullmatch=True)


@given(st.sampled_from(PLAIN + TIMED), BLANK, BLANK, st.booleans())
def test_a_name_alone_is_a_gate_in_any_case_and_with_blanks(
    name: str, before: str, after: str, upper: bool
) -> None:
    text = before + (name.upper() if upper else name) + after
    assert parse(text) == Gate(name)


@given(st.sampled_from(TIMED), NUMBER, st.sampled_from(["%", "ns", "us", "ms", "s"]), BLANK, BLANK)
def test_a_threshold_round_trips(name: str, number: str, unit: str, a: str, b: str) -> None:
    gate = parse(f"{name}{a}>{b}{number}{a}{unit}{b}")
    assert gate == Gate(name, float(number), unit)
    assert parse(str(gate)) == gate


@given(st.text(max_size=30))
def test_any_text_is_a_gate_or_one_line_of_wrong_usage(text: str) -> None:
    try:
        gate = parse(text)
    except UsageError as error:
        line = str(error)
    else:
        assert parse(str(gate)) == gate
        return
    assert line.startswith("--fail-on ")
    assert "\n" not in line


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("algoritm-changed", "did you mean 'algorithm-changed'?"),
        ("xyz", "there are algorithm-changed"),
        ("slower>5", "slower>5%"),
        ("slower>-5%", "slower>5%"),
        ("slower>5 %%", "slower>5%"),
        ("slower<5%", "slower>5%"),
        ("problem-missing>3%", "takes no threshold"),
        ("", "there are"),
        ("slower>٥%", "slower>5%"),
    ],
)
def test_a_wrong_gate_is_told_its_neighbour(text: str, hint: str) -> None:
    with pytest.raises(UsageError, match="--fail-on") as error:
        parse(text)
    assert hint in str(error.value)


def change(**more: Any) -> dict[str, Any]:
    return {
        "trace": "b", "baseline": "a", "pick_changed": False, "cause": None, "causes": [], "time": "slower",
        "difference_us": 10.0, "difference_low_us": 6.0, "difference_high_us": 14.0, "ratio": 1.1, "ratio_low": 1.06,
        "ratio_high": 1.14, "method": "x", "note": None, **more,
    }  # fmt: skip


def document(*changes: dict[str, Any], present: tuple[bool, bool] = (True, True)) -> dict[str, Any]:
    runs = [{"trace": t, "present": p} for t, p in zip("ab", present, strict=True)]
    problem = {"op": "Conv2D", "input": [1, 2], "filter": [3, 3]}
    return {
        "problems": [{"problem": problem, "runs": runs, "changes": list(changes)}],
        "ops": [{"op": "Relu", "runs": runs, "changes": list(changes)}],
    }


@pytest.mark.parametrize(
    ("gate", "failing", "passing"),
    [
        ("slower>5%", change(), change(ratio_low=1.04)),
        ("slower>5us", change(), change(difference_low_us=4.0)),
        ("slower>0.005ms", change(), change(difference_low_us=4.0)),
        ("slower", change(), change(time="within_noise", difference_low_us=-1.0, ratio_low=0.99)),
        ("op-slower>5%", change(), change(ratio_low=1.04)),
        ("algorithm-changed", change(pick_changed=True, causes=[{}], cause="x"), change()),
        ("algorithm-changed", change(pick_changed=True, cause="x"), change(pick_changed=None)),
        ("unexplained", change(pick_changed=True, cause="x"), change(pick_changed=True, causes=[{}], cause="x")),
        ("unjudged", change(time=None, note="one repetition"), change()),
    ],
)  # fmt: skip
def test_a_gate_fails_and_passes(gate: str, failing: dict[str, Any], passing: dict[str, Any]) -> None:
    [bad], [good] = (judge(document(c), [parse(gate)]) for c in (failing, passing))
    assert len(bad.failures) == 1
    assert good.failures == []
    assert verdict([good]) is None
    line = verdict([good, bad])
    assert line is not None
    assert line.startswith(f"gate {gate} failed: ")
    assert "\n" not in line


def test_missing_and_new_problems_and_ops() -> None:
    gates = [parse(g) for g in ("problem-missing", "problem-new", "op-missing", "op-new")]
    gone = judge(document(present=(True, False)), gates)
    new = judge(document(present=(False, True)), gates)
    assert [bool(o.failures) for o in gone] == [True, False, True, False]
    assert [bool(o.failures) for o in new] == [False, True, False, True]
    assert gone[0].failures == ["Conv2D [1,2] [3,3]: not in b"]
    assert new[3].failures == ["Relu: only in b"]
    assert not any(o.failures for o in judge(document(), gates))


def test_what_has_no_interval_does_not_fail_a_timed_gate_and_is_counted() -> None:
    single = change(time=None, ratio_low=None, difference_low_us=None)
    [outcome] = judge(document(single), [parse("slower>5%")])
    assert (outcome.failures, outcome.judged, outcome.unjudged) == ([], 0, 1)


def test_slower_judges_ops_where_no_problem_is_common() -> None:
    made = document(change())
    made["problems"] = []
    [outcome] = judge(made, [parse("slower>5%")])
    assert outcome.failures == ["Relu in b: +10.0 % (+6.0 to +14.0 %)"]
