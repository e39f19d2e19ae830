"""The reference of replays: the definition of a convolution, checked against loops and finite differences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tftrace.capture import reference
from tftrace.capture.pool import Arrays
from tftrace.errors import UsageError
from tftrace.model.conv2d_spec import Conv2dSpec, parse
from tftrace.tuning.request import as_replayed

SIZE = st.integers(1, 4)


@st.composite
def specs(draw: st.DrawFn) -> Conv2dSpec | None:
    groups = draw(st.sampled_from([1, 1, 2]))
    padding = draw(st.sampled_from(["SAME", "VALID", ((1, 0), (0, 2))]))
    try:
        return Conv2dSpec(
            input=(draw(SIZE), draw(st.integers(2, 6)), draw(st.integers(2, 6)), groups * draw(SIZE)),
            filter=(draw(st.integers(1, 3)), draw(st.integers(1, 3)), 1, groups * draw(SIZE)),
            strides=(draw(st.integers(1, 3)), draw(st.integers(1, 3))),
            dilations=(draw(st.integers(1, 2)), draw(st.integers(1, 2))),
            padding=padding,
        )
    except UsageError:
        return None


def forward(spec: Conv2dSpec, x: Any, w: Any) -> Any:
    """One multiplication after the other."""
    (top, bottom), (left, right) = spec.paddings
    x = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    y = np.zeros(spec.output)
    inner, outer = spec.filter[2], spec.filter[3] // spec.groups
    for n, i, j, k in np.ndindex(*spec.output):
        for p, q, c in np.ndindex(*spec.filter[:3]):
            row, column = (
                i * spec.strides[0] + p * spec.dilations[0],
                j * spec.strides[1] + q * spec.dilations[1],
            )
            y[n, i, j, k] += x[n, row, column, k // outer * inner + c] * w[p, q, c, k]
    return y


@settings(max_examples=40, deadline=None)
@given(specs())
def test_it_is_the_sum_of_products_and_the_gradients_are_its_adjoints(spec: Conv2dSpec | None) -> None:
    if spec is None:
        return
    problem = as_replayed(spec, Path())
    numbers = np.random.default_rng(0)
    x, w, dy = (numbers.standard_normal(s) for s in (spec.input, spec.filter, spec.output))
    y = forward(spec, x, w)
    got = reference.reference({**problem, "direction": "forward"}, {"input": x, "filter": w}, spec.input[0])
    np.testing.assert_allclose(got, y, atol=1e-12)
    # <dy, conv(x, w)> is linear in x and in w: its gradients are what the two other directions give
    dx = reference.reference(
        {**problem, "direction": "backprop_input"}, {"filter": w, "output": dy}, spec.input[0]
    )
    dw = reference.reference({**problem, "direction": "backprop_filter"}, {"input": x, "output": dy}, 1)
    whole = float((dy * y).sum())
    np.testing.assert_allclose([(dx * x).sum(), (dw * w).sum()], [whole, whole], atol=1e-9)


def test_only_the_first_images_are_computed_but_for_the_gradient_of_the_filter(tmp_path: Path) -> None:
    for direction, count in (("forward", 2), ("backprop_input", 2), ("backprop_filter", 3)):
        spec = parse(f"5,6,6,4:3,3,4,8:1:SAME:float32:direction={direction}")
        folder = tmp_path / direction
        assert Arrays(as_replayed(spec, folder), folder, 2, 1 << 30).wait(60) is None
        assert len(np.load(folder / "reference.npy")) == count
        if direction == "backprop_filter":
            whole = {n: np.load(folder / f"{n}.npy").astype(np.float64) for n in ("input", "output")}
            more = parse("5,6,6,4:3,3,4,24:1:SAME:float32:direction=backprop_filter")
            wide = {**whole, "output": np.repeat(whole["output"], 3, axis=3)}
            part = reference.reference(as_replayed(more, folder), wide, 2)
            assert part.shape == (3, 3, 4, reference.CHANNELS)
            np.testing.assert_allclose(
                part, np.repeat(np.load(folder / "reference.npy"), 3, axis=3)[..., :16]
            )
        names = {p.stem for p in folder.iterdir()} - {"reference"}
        assert names == set(reference.NEEDED[direction])


def test_a_problem_too_large_for_the_memory_is_told(tmp_path: Path) -> None:
    spec = parse("64,512,512,64:3,3,64,64")
    reason = Arrays(as_replayed(spec, tmp_path), tmp_path, 2, 1 << 28).wait(60)
    assert reason is not None
    assert "no memory" in reason
