"""The same problem in several runs: who won, in which time, what changed, and why."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.analysis.comparison.runs import STEADY, conv, row, run, times
from tests.analysis.contracts import check
from tests.views.traces import Builder, conv_site, eager_convs, function_run
from tftrace.analysis.comparison import compare
from tftrace.analysis.comparison.problems import UNEXPLAINED
from tftrace.errors import UsageError
from tftrace.model.trace import Trace


def document(*runs: Trace) -> dict[str, Any]:
    made = dict(compare(list(runs)).document)
    check(made, "compare")
    return made


def only(*runs: Trace) -> tuple[dict[str, Any], dict[str, Any]]:
    """The one problem of these runs, and its one change."""
    [problem] = document(*runs)["problems"]
    [change] = problem["changes"]
    return problem, change


def test_a_changed_algorithm_is_told_with_its_times_and_what_it_costs() -> None:
    problem, change = only(run("a", row("ALGO_1")), run("b", row("ALGO_6", times(1.5))))
    assert problem["verdict"] == "algorithm_changed"
    assert [r["chosen"] for r in problem["runs"]] == ["ALGO_1", "ALGO_6"]
    assert [r["time_us"] for r in problem["runs"]] == [100.1, 150.15]
    assert [r["warm_up_us"] for r in problem["runs"]] == [500.0, 750.0]
    assert problem["runs"][0]["low_us"] < 100.1 < problem["runs"][0]["high_us"]
    assert change["time"] == "slower"
    assert change["ratio"] == pytest.approx(1.5, abs=0.01)
    assert 1.4 < change["ratio_low"] < 1.5 < change["ratio_high"] < 1.6
    assert change["in_all_us"] == pytest.approx(50 * 11, rel=0.02)
    assert change["per_step_us"] is None


def test_what_lies_within_the_noise_is_said_to_be_so() -> None:
    problem, change = only(run("a", row()), run("b", row(times=times(1.002))))
    assert (problem["verdict"], change["time"], change["cause"]) == ("within_noise", "within_noise", None)
    assert change["difference_low_us"] < 0 < change["difference_high_us"]


def test_slower_and_faster_with_the_same_algorithm() -> None:
    slow, _ = only(run("a", row()), run("b", row(times=times(1.2))))
    fast, change = only(run("a", row()), run("b", row(times=times(0.8))))
    assert (slow["verdict"], fast["verdict"]) == ("slower", "faster")
    assert change["difference_us"] == pytest.approx(-20, abs=1)


def test_a_slow_first_call_is_warm_up_and_compared_with_nothing() -> None:
    problem, change = only(run("a", row()), run("b", row(times=(90_000.0, *STEADY))))
    assert problem["verdict"] == "same"
    assert change["difference_us"] == 0
    assert [r["warm_up_us"] for r in problem["runs"]] == [500.0, 90_000.0]


def test_one_repetition_has_no_interval_and_says_so() -> None:
    problem, change = only(run("a", row(times=(500.0, 100.0))), run("b", row(times=(500.0, 200.0))))
    assert (problem["verdict"], change["time"], change["difference_us"]) == ("same", None, 100.0)
    assert (change["difference_low_us"], change["ratio_high"]) == (None, None)
    assert change["note"] == "one repetition: no interval"
    assert [r["low_us"] for r in problem["runs"]] == [None, None]


def test_runs_that_only_called_once_are_compared_and_never_judged() -> None:
    _, change = only(run("a", row(times=(500.0,))), run("b", row(times=(900.0,))))
    assert (change["difference_us"], change["time"], change["note"]) == (400.0, None, "first call only")
    _, mixed = only(run("a", row(times=(500.0,))), run("b", row()))
    assert (mixed["difference_us"], mixed["note"]) == (None, "warm-up in one run, steady state in the other")


def test_times_of_different_things_are_not_compared() -> None:
    _, change = only(run("a", row()), run("b", row(time_of="call on the host")))
    assert change["difference_us"] is None
    assert change["note"] == "times of different things: device and call on the host"


def test_nan_times_are_no_times() -> None:
    nan = float("nan")
    problem, change = only(
        run("a", row(times=(nan, nan), time_us=nan)), run("b", row(times=(1.0, nan, *STEADY)))
    )
    assert problem["runs"][0]["time_us"] is None
    assert (change["difference_us"], change["note"]) == (None, "no times")
    assert problem["runs"][1]["time_us"] == 100.1


@pytest.mark.parametrize(
    ("before", "after", "cause"),
    [
        ({}, {"env": {"TF_CUDNN_DETERMINISTIC": "1"}}, "setting TF_CUDNN_DETERMINISTIC: not set -> 1"),
        ({"env": {"TF_CUDNN_USE_AUTOTUNE": "1"}}, {"env": {"TF_CUDNN_USE_AUTOTUNE": "0"}},
         "setting TF_CUDNN_USE_AUTOTUNE: 1 -> 0"),
        ({}, {"versions": {"tensorflow": "2.15.0"}}, "version tensorflow: 2.21.0 -> 2.15.0"),
        ({"devices": [{"name": "/device:GPU:0", "compute_cap_major": 7, "compute_cap_minor": 5}]},
         {"devices": [{"name": "/device:GPU:0", "compute_cap_major": 7, "compute_cap_minor": 0}]},
         "device devices: /device:GPU:0 sm75 -> /device:GPU:0 sm70"),
        ({}, {"env": {"TF_CPP_MIN_LOG_LEVEL": "2", "ONEDNN_MAX_CPU_ISA": "AVX2"}}, UNEXPLAINED),
        ({}, {}, UNEXPLAINED),
    ],
)  # fmt: skip
def test_the_cause_is_what_visibly_differs_between_the_runs(
    before: dict[str, Any], after: dict[str, Any], cause: str
) -> None:
    problem, change = only(run("a", row("ALGO_1"), **before), run("b", row("ALGO_6"), **after))
    assert problem["cause"] == change["cause"] == cause
    assert bool(change["causes"]) == (cause != UNEXPLAINED)


@pytest.mark.parametrize(
    ("other", "cause"),
    [
        (row("ALGO_6", version="9.5.0"), "library cuDNN: 9.3.0 -> 9.5.0"),
        (row("ALGO_6", device_model="H100"), "device: A100 -> H100"),
        (row("ALGO_6", problem=conv(dtype="float16")), "dtype: float32 -> float16"),
        (row("ALGO_6", problem=conv(math="tensor_op")), "math: not known -> tensor_op"),
        (row("ALGO_6", problem=conv(fused=["bias", "relu"])), "fused: nothing -> bias+relu"),
        (
            row("ALGO_6", problem=conv(layout="NCHW", input=[8, 16, 32, 32], output=[8, 32, 32, 32])),
            "layout: NHWC -> NCHW",
        ),
    ],
)
def test_the_cause_is_what_differs_about_the_problem_itself(other: dict[str, Any], cause: str) -> None:
    problem, _ = only(
        run("a", row("ALGO_1", device_model="A100")), run("b", {"device_model": "A100", **other})
    )
    assert (problem["verdict"], problem["cause"]) == ("algorithm_changed", cause)


def test_a_model_that_one_run_alone_tells_is_no_difference() -> None:
    known, unknown = row("ALGO_1", device_model="NVIDIA H200"), row("ALGO_6", device_model=None)
    problem, _ = only(run("a", known), run("b", unknown))
    assert problem["cause"] == UNEXPLAINED


def test_cpu_settings_explain_picks_of_the_cpu_and_gpu_settings_do_not() -> None:
    on_cpu: dict[str, Any] = {
        "device": "/device:CPU:0",
        "library": "oneDNN",
        "algorithm": "convolution_direct",
    }
    before = run("a", row(implementation="brg:avx512", **on_cpu))
    after = row(implementation="brg:avx2", **on_cpu)
    one, _ = only(before, run("b", after, env={"ONEDNN_MAX_CPU_ISA": "AVX2", "TF_CUDNN_DETERMINISTIC": "1"}))
    assert one["cause"] == "setting ONEDNN_MAX_CPU_ISA: not set -> AVX2"
    two, _ = only(before, run("b", after, env={"TF_CUDNN_DETERMINISTIC": "1"}))
    assert two["cause"] == UNEXPLAINED


def test_how_the_old_pick_fared_in_the_other_run_is_told() -> None:
    loser = row("ALGO_1", (103.1,), chosen=False, calls=0, trials=1)
    _, change = only(run("a", row("ALGO_1")), run("b", row("ALGO_6"), loser))
    assert change["also_tried"] == "ALGO_1: +2.9 % against the winner there"
    failed = row("ALGO_1", None, chosen=False, calls=0, status="failed")
    _, change = only(run("a", row("ALGO_1")), run("b", row("ALGO_6"), failed))
    assert change["also_tried"] == "ALGO_1: failed there"


def test_problems_of_one_run_alone() -> None:
    small = row(problem_id=1, problem=conv(input=[1, 8, 8, 16], output=[1, 8, 8, 32]))
    both = document(run("a", row(), small), run("b", row()))["problems"]
    gone = next(p for p in both if p["problem"]["input"] == [1, 8, 8, 16])
    assert gone["verdict"] == "only_in_some"
    assert [r["present"] for r in gone["runs"]] == [True, False]
    assert gone["changes"] == []
    assert next(p for p in both if p is not gone)["verdict"] == "same"


def test_a_problem_that_is_there_in_two_dtypes_is_matched_to_the_one_of_its_own() -> None:
    half = row("HALF", problem_id=1, problem=conv(dtype="float16"))
    matched = document(run("a", row("FULL"), half), run("b", row("HALF", problem=conv(dtype="float16"))))
    by_dtype = {p["problem"]["dtype"]: p for p in matched["problems"]}
    assert by_dtype["float16"]["verdict"] == "same"
    assert by_dtype["float32"]["verdict"] == "only_in_some"


def test_problems_without_sizes_go_together_by_their_nodes_or_by_their_order_which_is_inferred() -> None:
    def bare(name: str, algorithm: str, at: int) -> dict[str, Any]:
        problem = {"op": "Conv2D", "direction": "forward", "nodes": [name]}
        return row(algorithm, problem_id=at, problem=problem, first_ns=at * 1000)

    named = document(
        run("a", bare("conv1", "X", 0), bare("conv2", "Y", 1)), run("b", bare("conv2", "Y", 5), bare("conv1", "X", 9))
    )["problems"]  # fmt: skip
    assert [(p["verdict"], p["evidence"]) for p in named] == [("same", "measured")] * 2
    ordered = document(
        run("a", bare("m/conv1", "X", 0), bare("m/conv2", "Y", 1)),
        run("b", bare("n/conv2", "Y", 5), bare("n/conv1", "X", 3)),
    )["problems"]
    assert [(p["verdict"], p["evidence"]) for p in ordered] == [("same", "inferred")] * 2


def test_a_run_that_used_several_algorithms_names_them_all() -> None:
    both = (row("ALGO_1", times()), row("ALGO_7", times()[:4]))
    problem, change = only(run("a", row("ALGO_1")), run("b", *both))
    assert (problem["verdict"], change["pick_changed"]) == ("algorithm_changed", True)
    assert problem["runs"][1]["also"] == [{"pick": "ALGO_7", "calls": 4}]
    same, _ = only(run("a", *both), run("b", *reversed(both)))
    assert same["changes"][0]["pick_changed"] is False


def test_a_pick_that_nobody_knows_is_no_change() -> None:
    _, change = only(run("a", row("ALGO_1")), run("b", row("ALGO_1", chosen=False)))
    assert (change["pick_changed"], change["cause"]) == (None, None)


def test_three_runs_are_compared_with_the_first() -> None:
    made = document(run("a", row()), run("b", row(times=times(1.5))), run("c", row("ALGO_6", times(0.5))))
    [problem] = made["problems"]
    assert (made["baseline"], made["traces"]) == ("a", ["a", "b", "c"])
    assert [(c["baseline"], c["trace"], c["time"]) for c in problem["changes"]] == [
        ("a", "b", "slower"),
        ("a", "c", "faster"),
    ]
    assert problem["verdict"] == "algorithm_changed"
    assert set(made["summary"]["in_all_us"]) == {"b", "c"}


def test_what_unchanged_problems_have_in_common_is_the_machine() -> None:
    rows = [row(problem_id=n, problem=conv(groups=n + 1)) for n in range(3)]
    slow = [row(times=times(1.4), problem_id=n, problem=conv(groups=n + 1)) for n in range(3)]
    assert document(run("a", *rows), run("b", *slow))["summary"]["unchanged_ratio"]["b"] == pytest.approx(
        1.4, abs=0.02
    )
    assert document(run("a", rows[0]), run("b", slow[0]))["summary"]["unchanged_ratio"] == {}


def test_the_same_trace_twice_is_the_same_throughout() -> None:
    trace = run("a", row())
    made = document(trace, trace)
    assert made["traces"] == ["a (1)", "a (2)"]
    assert made["environment"] == []
    assert {p["verdict"] for p in made["problems"]} == {"same"}


def test_runs_of_one_name_are_told_apart_by_where_they_are() -> None:
    names = [run("mon/conv", row()), run("tue/conv", row())]
    assert document(*names)["traces"] == ["mon/conv", "tue/conv"]


def test_one_trace_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="two traces or more"):
        compare([run("a", row())])


def test_runs_without_problems_compare_their_ops() -> None:
    made = document(eager_convs(12), eager_convs(12))
    assert made["problems"] == []
    [op] = made["ops"]
    assert (op["op"], op["verdict"]) == ("Conv2D", "same")
    assert [(r["count"], r["time_us"], r["warm_up_calls"]) for r in op["runs"]] == [(12, 90.0, 1)] * 2
    [site] = made["sites"]
    assert (site["file"], site["code"], site["lines"]) == (
        "train.py",
        "y = tf.nn.conv2d(x, w, 1, 'SAME')",
        [[12], [12]],
    )


def test_two_modes_of_one_line_show_what_each_alone_has() -> None:
    made = document(eager_convs(12), function_run())
    ops = {o["op"]: [r["count"] for r in o["runs"]] for o in made["ops"]}
    assert ops == {"Conv2D": [12, 2], "step (function)": [0, 2]}
    kernels = {(k["layer"], k["kernel"]): [r["count"] for r in k["runs"]] for k in made["kernels"]}
    assert kernels == {("kernel", "_MklNativeConv2D"): [0, 2]}
    site = next(s for s in made["sites"] if s["op"] == "Conv2D")
    assert [r["present"] for r in site["runs"]] == [True, True]


def test_a_line_that_moved_is_the_same_line() -> None:
    def made(line: int) -> Trace:
        builder = Builder()
        site = conv_site(builder, python_line=line)
        for at in range(3):
            builder.call(site, at * 100, 50, [])
        return builder.trace()

    [site] = document(made(12), made(40))["sites"]
    assert site["lines"] == [[12], [40]]
    assert [r["count"] for r in site["runs"]] == [3, 3]


def test_empty_traces_have_nothing_to_compare_and_do_not_fail() -> None:
    made = document(Builder().trace(), Builder().trace())
    assert (made["problems"], made["ops"], made["sites"], made["kernels"]) == ([], [], [], [])
    assert compare([Builder().trace(), Builder().trace()]).problems.empty


def test_frames_hold_the_document() -> None:
    made = compare([run("a", row("ALGO_1")), run("b", row("ALGO_6", times(1.5)))])
    frame = made.problems.set_index("trace")
    assert frame.loc["b", "chosen"] == "ALGO_6"
    assert frame.loc["b", "time"] == "slower"
    assert frame.loc["a", "op"] == "Conv2D"
    assert list(made.environment.columns) == ["kind", "name", "a", "b"]
    assert made.ops.empty


def test_steps_spread_the_cost() -> None:
    def stepped(name: str, scale: float) -> Trace:
        builder = Builder()
        builder.rows["algorithms"] = [row(times=times(scale))]
        site = conv_site(builder)
        for step in range(5):
            builder.call(site, step * 100, 50, [], step=step)
        made = builder.trace()
        return Trace(made.manifest, made.tables, run(name).path)

    _, change = only(stepped("a", 1), stepped("b", 2))
    assert change["in_all_us"] == pytest.approx(1101, abs=20)
    assert change["per_step_us"] == pytest.approx(change["in_all_us"] / 5, abs=0.01)


def test_text_that_is_hostile_is_data() -> None:
    text = "</script><b>\x1b[31m"
    made = document(run(text, row(text)), run("b", row(text + "2"), env={text: text}))
    assert json.loads(json.dumps(made))["problems"][0]["runs"][0]["chosen"] == text


def test_another_math_type_of_the_same_algorithm_is_another_pick() -> None:
    problem, _ = only(
        run("a", row(implementation="DEFAULT_MATH")), run("b", row(implementation="TENSOR_OP_MATH"))
    )
    assert problem["verdict"] == "algorithm_changed"


def test_another_kernel_of_the_same_cudnn_algorithm_is_no_other_pick() -> None:
    problem, change = only(
        run("a", row(implementation="scudnn_128x128", source="kernel_names")),
        run("b", row(implementation="scudnn_128x32", source="kernel_names")),
    )
    assert (change["pick_changed"], change["kernel_changed"]) == (False, True)
    assert problem["verdict"] == "same"


def test_cost_a_step_counts_the_steps_in_which_the_op_ran() -> None:
    def stepped(name: str, scale: float) -> Trace:
        builder = Builder()
        builder.rows["algorithms"] = [row(times=times(scale))]
        conv_at, other = conv_site(builder), builder.site("IteratorGetNext")
        for step in range(4):
            builder.call(conv_at if step < 2 else other, step * 100, 50, [], step=step)
        made = builder.trace()
        return Trace(made.manifest, made.tables, run(name).path)

    _, change = only(stepped("a", 1), stepped("b", 2))
    assert change["per_step_us"] == pytest.approx(change["in_all_us"] / 2, abs=0.01)
