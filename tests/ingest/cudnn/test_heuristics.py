"""Answers of cuDNN's heuristics: every configuration once, under the name by which TensorFlow logs its plan."""

from __future__ import annotations

import json
from typing import Any

from tftrace.ingest.cudnn.heuristics import Offer, read_offers


def config(engine: int, *knobs: tuple[int, int], plan: int = 0, **more: Any) -> dict[str, Any]:
    made = {
        "engine": engine,
        "knobs": [list(k) for k in knobs],
        "workspace": 0,
        "numerical": [0],
        "behavior": [],
    }
    return made | {"plan": plan} | more


def test_a_configuration_has_its_tag_knobs_and_notes() -> None:
    line = json.dumps(
        {"modes": {"B": [config(22, (2, 4), (13, 0), numerical=[0, 4], behavior=[0], workspace=7)]}}
    )
    (offer,) = read_offers(line).offers
    assert offer == Offer(
        mode="B", rank=1, engine=22, knobs={"TILE_SIZE": 4, "TILEK": 0}, algorithm="eng22_k2=4_k13=0",
        notes=("TENSOR_CORE", "NONDETERMINISTIC", "RUNTIME_COMPILATION"), workspace_bytes=7, refused=None,
    )  # fmt: skip


def test_a_later_mode_adds_only_what_is_new() -> None:
    modes = {
        "B": [config(1, (2, 4)), config(0)],
        "A": [config(0), config(1, (2, 5)), config(1, (2, 4))],
        "FALLBACK": [config(0)],
    }
    read = read_offers(json.dumps({"modes": modes}))
    told = [(o.algorithm, o.mode, o.rank) for o in read.offers]
    assert told == [("eng1_k2=4", "B", 1), ("eng0", "B", 2), ("eng1_k2=5", "A", 2)]
    assert read.failures == {}


def test_a_refused_plan_says_with_which_status() -> None:
    (offer,) = read_offers(json.dumps({"modes": {"A": [config(7, plan=3008)]}})).offers
    assert offer.refused == "NOT_SUPPORTED_RUNTIME_PREREQUISITE_MISSING"


def test_numbers_that_are_newer_than_the_tables_stay_numbers() -> None:
    (offer,) = read_offers(
        json.dumps({"modes": {"A": [config(7, (999, 1), numerical=[99], plan=5999)]}})
    ).offers
    assert (offer.knobs, offer.algorithm, offer.notes) == ({"k999": 1}, "eng7_k999=1", ("99",))
    assert offer.refused == "5999"


def test_a_mode_or_a_graph_that_was_refused_is_no_offer() -> None:
    read = read_offers(json.dumps({"modes": {"B": {"error": "no such mode"}, "A": [config(1)]}}))
    assert (len(read.offers), read.failures) == (1, {"B": "no such mode"})
    assert read_offers(json.dumps({"error": "no such graph"})).failures == {"": "no such graph"}
