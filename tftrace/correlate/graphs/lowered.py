"""Loops and branches as the executor runs them: their functions inlined, between Enter and Exit, Switch and Merge.

    made                                        ran
    while = StatelessWhile(cond f, body g)      while/cond/_0/<node of f>, while/body/_1/<node of g>
    cond = StatelessIf(f, g)                    cond/then/_35/<node of f>, cond/else/_36/<node of g>
    case = StatelessCase([f, g, ..])            case/branch0/_3/<node of f>, case/branch1/_4/<node of g> ..

The numbers are those of the nodes that the lowering made in the whole graph.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

LOWERED: Final = ("While", "StatelessWhile", "If", "StatelessIf", "Case", "StatelessCase")
_PART: Final = re.compile(r"(?P<role>cond|body|then|else|branch(?P<branch>\d+))/_\d+/")
_WITHIN: Final = re.compile(r"/" + _PART.pattern)
_AT: Final = {"cond": 0, "body": 1, "then": 0, "else": 1}


def part(rest: str) -> tuple[int, str] | None:
    """(which of the functions that the node calls, node in it) for what follows the name of a lowered node."""
    found = _PART.match(rest)
    return (_position(found), rest[found.end() :]) if found is not None else None


def parts(ran: Iterable[str]) -> dict[str, dict[int, str]]:
    """By the name of a lowered node the prefix of the nodes of each function it calls, of those that left any."""
    found: dict[str, dict[int, str]] = {}
    for name in ran:
        for at in _WITHIN.finditer(name):
            found.setdefault(name[: at.start()], {})[_position(at)] = name[: at.end()]
    return found


def _position(found: re.Match[str]) -> int:
    return int(found["branch"]) if found["branch"] is not None else _AT[found["role"]]
