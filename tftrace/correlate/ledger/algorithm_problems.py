"""Which rows of the table algorithms are of one problem."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from tftrace.correlate.tables.columns import compact
from tftrace.model.problem import compatible, united, unknown_fields

INFERRED: Final = "inferred"
_NAME: Final = "TensorFlow"
_DESCRIBED: Final = ("CUDA: ", "ROCM: ")


@dataclass
class Problem:
    """Rows of one problem, by their numbers. `devices` holds what they call the device, by who calls it so."""

    problem: dict[str, Any]
    devices: dict[str, str]
    rows: list[int]

    @property
    def device(self) -> str | None:
        """The device as TensorFlow names it, else its model."""
        return self.devices.get(_NAME) or self.model

    @property
    def model(self) -> str | None:
        """What the first source calls it that has a name for it; what XLA says of it is a description, no name."""
        told = [text for who, text in self.devices.items() if who != _NAME]
        return min(told, key=lambda text: text.startswith(_DESCRIBED), default=None)

    def fits(self, row: dict[str, Any]) -> bool:
        return self._on(_devices(row)) and compatible(self.problem, row["problem"])

    def _on(self, devices: dict[str, str]) -> bool:
        return all(self.devices.get(k, v) == v for k, v in devices.items())

    def take(self, other: Problem) -> None:
        """The rows of `other` are of this problem too, whatever they do not tell of it."""
        self.problem = united(self.problem, other.problem)
        self.devices |= other.devices
        self.rows += other.rows


def problems(rows: list[dict[str, Any]]) -> list[Problem]:
    """The problems of rows whose `problem` is canonical. What tells most comes first, so that what tells less finds all
    that it could belong to."""
    found: dict[str, list[Problem]] = {}
    order = sorted(
        range(len(rows)), key=lambda i: unknown_fields(rows[i]["problem"]) + (rows[i]["device"] is None)
    )
    for i in order:
        row, problem = rows[i], rows[i]["problem"]
        sizes = [problem.get(k) for k in ("op", "direction", "input", "filter", "output")]
        near = found.setdefault(compact([row["library"], *sizes]), [])
        fits = [one for one in near if one.fits(row)]
        if len(fits) > 1:
            fits = [one for one in fits if (one.problem, one.devices) == (problem, _devices(row))]
        told = Problem(problem, _devices(row), [i])
        if len(fits) == 1:
            fits[0].take(told)
        else:
            near.append(told)
    return [one for near in found.values() for one in near]


def matched_by_order(found: list[Problem], rows: list[dict[str, Any]]) -> list[Problem]:
    """Problems that a profile tells by their place in the graph, put to those of other sources, which tell shapes.

    They are matched where, of one kind of op and direction, there are as many on both sides: the first to the first,
    and so on. Their rows then count as that problem's, and all that they tell of it is inferred.

        profile (order)        TensorFlow's log (in order)       problem
        Conv2D 0               Conv2D, [8,56,56,64]         ->   Conv2D, [8,56,56,64], order 0
        Conv2D 1               Conv2D, [8,28,28,128]        ->   Conv2D, [8,28,28,128], order 1
        Conv2DBackpropInput 0                               ->   Conv2DBackpropInput, order 0
    """
    kinds: dict[tuple[Any, ...], tuple[list[Problem], list[Problem]]] = {}
    for one in found:
        kind = (rows[one.rows[0]]["library"], one.problem["op"], one.problem["direction"])
        placed, shaped = kinds.setdefault(kind, ([], []))
        if one.problem.get("input"):
            shaped.append(one)
        elif one.problem.get("order") is not None:
            placed.append(one)
    gone: set[int] = set()
    for placed, shaped in kinds.values():
        if len(placed) != len(shaped) or len({one.device for one in placed}) > 1:
            continue
        placed.sort(key=lambda one: int(one.problem["order"]))
        shaped.sort(key=lambda one: min(one.rows))
        for place, shape in zip(placed, shaped, strict=True):
            _name_alike([rows[i] for i in place.rows], [rows[i] for i in shape.rows])
            shape.take(place)
            gone.add(id(place))
    return [one for one in found if id(one) not in gone]


def _name_alike(of_profile: list[dict[str, Any]], others: list[dict[str, Any]]) -> None:
    """Gives the profile's rows the names under which the other source knows the same candidates.

    Trials are the same in their order, where there are as many that ran on both sides; the winner is the winner. The
    kernel stays as the `implementation`. What is matched so is inferred, whatever either source measured.
    """
    trials = [r for r in of_profile if r.get("trials")]
    tried = list({r["algorithm"]: r for r in others if r.get("trials")}.values())
    pairs = list(zip(trials, tried, strict=True)) if len(trials) == len(tried) else []
    won = [[r for r in rows if r["chosen"]] for rows in (of_profile, others)]
    if not pairs and len({r["algorithm"] for r in won[0]}) == len({r["algorithm"] for r in won[1]}) == 1:
        pairs = [(won[0][0], won[1][0])]
    for row, other in pairs:
        for name in ("algorithm", "engine", "knobs"):
            row[name] = other.get(name)
        row["confidence"] = row["alternative"] = row["reason"] = None
        row["evidence"] = other["evidence"] = INFERRED


def _devices(row: dict[str, Any]) -> dict[str, str]:
    """Who names the device -> the name. TensorFlow's names are compared whatever source has them; models only within
    one source, because the driver and cuDNN name one device differently."""
    found = {}
    for name in (row.get("device"), row.get("device_model")):
        if name:
            text, source = str(name), str(row["source"])
            who = (
                _NAME
                if text.startswith("/")
                else f"{source} described"
                if text.startswith(_DESCRIBED)
                else source
            )
            found[who] = text
    return found
