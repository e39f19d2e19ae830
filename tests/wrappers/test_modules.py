"""Whole modules beside tf.keras.backend: those of TensorFlow itself, keras.ops, layers and libraries for graphs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.analysis import contracts
from tests.wrappers.tracing import OLDER, document, functions

pytestmark = [pytest.mark.tf, pytest.mark.slow]


def check(*names: str, python: str | None = None, least: float = 0.95) -> dict[str, dict[str, Any]]:
    made = document(*names, python=python)
    contracts.check(made, "wrappers")
    rows = functions(*names, python=python)
    left = {n: r["reason"] for n, r in rows.items() if "not_traced" in (r["category"], r["beneath"])}
    assert len(left) <= (1 - least) * len(rows), left
    assert all(left.values())
    return rows


def what(row: dict[str, Any]) -> str:
    """The category by its op calls, whatever other names it has."""
    return str(row["beneath"] or row["category"])


def test_convolutions_and_pooling_of_tf_nn() -> None:
    rows = check("tf.nn")
    assert what(rows["tf.nn.conv2d"]) == "thin"
    assert "tf.raw_ops.Conv2D" in rows["tf.nn.conv2d"]["native"]
    assert rows["tf.nn.conv2d"]["ops"] == ["Conv2D"]
    assert what(rows["tf.nn.max_pool2d"]) == "thin"
    assert rows["tf.nn.separable_conv2d"]["ops"][-2:] == ["DepthwiseConv2dNative", "Conv2D"]
    assert rows["tf.nn.tanh"]["category"] == "alias"
    assert "tf.math.tanh" in rows["tf.nn.tanh"]["alias_of"]
    families = [n for n in rows if "conv" in n or "pool" in n]
    assert len(families) >= 25
    assert all(what(rows[n]) != "not_traced" for n in families)


def test_tf_math() -> None:
    rows = check("tf.math")
    assert rows["tf.math.reduce_variance"]["ops"][0] == "Mean"
    assert "tf.abs" in rows["tf.math.abs"]["alias_of"]


def test_keras_ops() -> None:
    rows = check("keras.ops")
    assert "tf.nn.conv2d" in rows["keras.ops.conv"]["native"]
    assert what(rows["keras.ops.conv"]) in ("thin", "thick")
    assert what(rows["keras.ops.logical_and"]) == "thick"
    assert rows["keras.ops.logical_and"]["added"] == ["Cast"]
    assert rows["keras.ops.relu"]["alias_of"] == ["keras.ops.nn.relu"]
    assert what(rows["keras.ops.is_tensor"]) == "no_op"


def test_layers_of_version_1_are_called_in_a_graph(stack: Callable[[str], str]) -> None:
    rows = check("tf.compat.v1.layers", python=stack(OLDER))
    assert all(r["mode"] == "graph" for r in rows.values())
    conv = rows["tf.compat.v1.layers.conv2d"]
    assert conv["category"] == "thick"
    assert {"tf.nn.convolution", "tf.nn.bias_add"} <= set(conv["native"])
    assert "VarHandleOp" in conv["added"]
    assert "Conv2D" not in conv["added"]
    assert conv["equal"] is True
    assert {"Conv2D", "_MklNativeConv2D", "_MklNativeFusedConv2D", "_FusedConv2D"} & set(conv["kernels"])
    pool = rows["tf.compat.v1.layers.max_pooling2d"]
    assert (pool["category"], pool["equal"]) == ("thin", True)
    assert "tf.nn.max_pool2d" in pool["native"]


def test_tf_slim(stack: Callable[[str], str]) -> None:
    rows = check(
        "tf_slim", python=stack(OLDER), least=0.95
    )  # some of it does not run on TensorFlow 2.15 any more
    conv = rows["tf_slim.conv2d"]
    assert (conv["category"], conv["beneath"]) == ("alias", "thick")
    assert "tf_slim.convolution2d" in conv["alias_of"]
    assert {"tf.nn.relu", "tf.nn.convolution"} <= set(conv["native"])
    assert what(rows["tf_slim.l2_regularizer"]) == "no_op"
    assert what(rows["tf_slim.max_pool2d"]) == "thin"
