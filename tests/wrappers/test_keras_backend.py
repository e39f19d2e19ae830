"""All of tf.keras.backend, of Keras 3 and Keras 2, against a key made by reading its source (key.json)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.analysis import contracts
from tests.wrappers.tracing import OLDER, document, functions

KEY = json.loads((Path(__file__).parent / "key.json").read_text())
MODULE = "tf.keras.backend"
pytestmark = [pytest.mark.tf, pytest.mark.slow]


@pytest.fixture(scope="module", params=["keras 3", "keras 2"])
def keras(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Which Keras, and an interpreter that has it."""
    if request.param == "keras 3":
        return request.param, sys.executable
    return request.param, request.getfixturevalue("stack")(OLDER)


def test_the_document_fits_its_contract(keras: tuple[str, str]) -> None:
    contracts.check(document(MODULE, python=keras[1]), "wrappers")


def test_nearly_every_name_is_classified_and_the_others_say_why(keras: tuple[str, str]) -> None:
    rows = functions(MODULE, python=keras[1])
    version = KEY[keras[0]]["version"].split(".")[0]
    assert document(MODULE, python=keras[1])["keras"].split(".")[0] == version
    assert len(rows) == {"3": 137, "2": 147}[version]  # Keras 2 exports a module, experimental, beside them
    left = {n: r["reason"] for n, r in rows.items() if r["category"] == "not_traced"}
    assert len(left) <= 0.05 * len(rows), left
    assert all(left.values())


def test_it_agrees_with_the_source(keras: tuple[str, str]) -> None:
    rows = functions(MODULE, python=keras[1])
    differences = []
    for entry in KEY[keras[0]]["functions"]:
        row = rows[entry["name"]]
        if row["category"] != entry["category"] or not set(entry["native"]) <= set(row["native"]):
            differences.append((entry["name"], entry["category"], row["category"], row["native"]))
    assert len(KEY[keras[0]]["functions"]) == 40
    assert not differences


def test_a_thin_wrapper_gives_the_numbers_of_its_native_function(keras: tuple[str, str]) -> None:
    rows = functions(MODULE, python=keras[1])
    assert rows[f"{MODULE}.abs"]["equal"] is True
    assert rows[f"{MODULE}.abs"]["ops"] == ["Abs"]
    thin = [r for r in rows.values() if r["category"] == "thin"]
    assert sum(r["equal"] is True for r in thin) >= 0.9 * len(thin)


def test_a_thick_wrapper_says_what_it_adds(keras: tuple[str, str]) -> None:
    rows = functions(MODULE, python=keras[1])
    assert rows[f"{MODULE}.all"]["added"] == ["Cast"]
    assert rows[f"{MODULE}.sqrt"]["added"] == ["Maximum"]
    assert all(
        r["added"] for r in rows.values() if r["category"] == "thick" and r["name"] != f"{MODULE}.function"
    )


def test_kernels_are_those_that_the_runtime_chose(keras: tuple[str, str]) -> None:
    rows = functions(MODULE, python=keras[1])
    assert rows[f"{MODULE}.exp"]["kernels"] == ["Exp"]
    (kernel,) = rows[f"{MODULE}.conv2d"]["kernels"]
    assert kernel in ("Conv2D", "_MklNativeConv2D")


def test_a_function_whose_work_depends_on_the_dtype_shows_it(keras: tuple[str, str]) -> None:
    cases: list[dict[str, Any]] = functions(MODULE, python=keras[1])[f"{MODULE}.mean"]["cases"]
    ops = {case["dtype"]: case["ops"] for case in cases}
    assert ops["float32"] == ops["float64"] == ["Mean"]
    assert ops["bool"] == ["Cast", "Mean"]


def test_what_is_legacy_or_undocumented_is_said(keras: tuple[str, str]) -> None:
    row = functions(MODULE, python=keras[1])[f"{MODULE}.abs"]
    of_keras_3 = keras[0] == "keras 3"  # its docstring there is "DEPRECATED."
    assert row["legacy"] is of_keras_3
    assert row["documented"] is not of_keras_3
