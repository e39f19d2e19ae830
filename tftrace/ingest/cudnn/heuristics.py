"""Reader of what cuDNN's heuristics offered: an answer of `capture/cudnn_child.py`, which describes its form."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tftrace.ingest.cudnn.enums import BEHAVIOR_NOTE, KNOB_TYPE, NUMERICAL_NOTE, name_of, status_name
from tftrace.ingest.cudnn.problem import tag


@dataclass(frozen=True)
class Offer:
    """One engine configuration. `knobs` are by name without `CUDNN_KNOB_TYPE_`, `algorithm` is the tag by which plans
    are named, `eng22_k2=4`; `notes` are cuDNN's numerical and behaviour notes. `refused` is the status with which
    cuDNN would not make a plan of it, None where it did. `mode` is the heuristic that lists it first, `rank` its place
    in that list, from 1."""

    mode: str
    rank: int
    engine: int
    knobs: dict[str, int]
    algorithm: str
    notes: tuple[str, ...]
    workspace_bytes: int | None
    refused: str | None


@dataclass(frozen=True)
class Offers:
    """`offers` in the order in which the modes were asked, each configuration once; `failures` are the modes that
    cuDNN could not answer, or `""` for the whole question, with what it said."""

    offers: tuple[Offer, ...]
    failures: dict[str, str]


def read_offers(line: str) -> Offers:
    """The offers of one answer."""
    told = json.loads(line)
    if "error" in told:
        return Offers((), {"": str(told["error"])})
    found: dict[str, Offer] = {}
    failures: dict[str, str] = {}
    for mode, configs in told["modes"].items():
        if isinstance(configs, dict):
            failures[mode] = str(configs["error"])
            continue
        for rank, config in enumerate(configs, start=1):
            offer = _offer(mode, rank, config)
            found.setdefault(offer.algorithm, offer)
    return Offers(tuple(found.values()), failures)


def _offer(mode: str, rank: int, config: dict[str, Any]) -> Offer:
    knobs = {KNOB_TYPE.get(kind, f"k{kind}"): value for kind, value in config["knobs"]}
    notes = [name_of(NUMERICAL_NOTE, note) for note in config["numerical"] or ()]
    notes += [name_of(BEHAVIOR_NOTE, note) for note in config["behavior"] or ()]
    return Offer(
        mode=mode,
        rank=rank,
        engine=config["engine"],
        knobs=knobs,
        algorithm=tag(config["engine"], knobs),
        notes=tuple(notes),
        workspace_bytes=config["workspace"],
        refused=status_name(config["plan"]) if config["plan"] else None,
    )
