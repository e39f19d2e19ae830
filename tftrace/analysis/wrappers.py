"""What public functions come down to: the document of `tftrace wrappers`.

Built from what the workers recorded (`capture/wrappers.py`). A function belongs to the first of these that holds:

| category | holds where |
|---|---|
| alias | it is the very object of another public name |
| no_op | it was called, and ran no op in any case |
| thin | it calls one native function alone, or one op: the same op calls, attributes included, and the same numbers |
| thick | its work is done by the ops of at most three native functions, with more around them |
| unique | its work takes the ops of more native functions than that |
| not_traced | the call could not be made; the reason says why |

Its work are the op calls that lead from the values of its arguments to its result. Where some of them are more than
moves and plain arithmetic (`op_kinds`), only those: a convolution with a transpose around it is a convolution.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tftrace.analysis.op_kinds import KEEPS, SHAPES, has_effect, is_plain

CATEGORIES: Final = ("alias", "no_op", "thin", "thick", "unique", "not_traced")
SHORT: Final = 3
"""Native functions that still are a short composition."""

Row = dict[str, Any]


def document(
    names: Sequence[str],
    versions: Mapping[str, Any],
    functions: Sequence[Mapping[str, Any]],
    records: Mapping[str, Mapping[str, Any]],
    index: Mapping[str, Any],
) -> dict[str, Any]:
    """The document of `tftrace wrappers --json`.

    `functions` are the facts about each function, `records` what was recorded of it by name, `index` which ops
    TensorFlow's own functions make. Times are in us: `python_us` and `native_us` are medians of a call less what
    it spends in the runtime; of a function that only works in graphs, of making its nodes.
    """
    rows = [row(facts, records[facts["name"]]) for facts in functions]
    counts = Counter(str(r["category"]) for r in rows)
    beneath = Counter(str(r["beneath"]) for r in rows if r["beneath"])
    traced = [r for r in rows if r["category"] != "not_traced"]
    return {
        "names": list(names),
        **{k: versions.get(k) for k in ("python", "tensorflow", "keras", "executable")},
        "counts": {c: counts.get(c, 0) for c in CATEGORIES},
        "beneath": {c: beneath[c] for c in CATEGORIES if beneath.get(c)},
        "classified": round(len(traced) / len(rows), 4) if rows else None,
        "natives": {"called": index.get("called"), "of": index.get("of")},
        "functions": rows,
    }


def row(facts: Mapping[str, Any], record: Mapping[str, Any]) -> Row:
    """What is said of one function."""
    cases = list(record["cases"])
    traced = record["status"] == "ok"
    verdict = _Verdict(record) if traced else None
    category = verdict.category if verdict is not None else "not_traced"
    others = list(facts["others"])
    natives = verdict.native if verdict is not None else []
    return {
        "name": facts["name"],
        "category": "alias" if others else category,
        "beneath": category if others else None,
        "native": list(dict.fromkeys([*others, *natives])),
        "ops": [op["op"] for op in cases[0]["ops"]] if traced else [],
        "kernels": list(record.get("kernels") or []),
        "python_us": record.get("python_us"),
        "native_us": verdict.native_us if verdict is not None else None,
        "native_timed": verdict.timed if verdict is not None else None,
        "equal": verdict.equal if verdict is not None else None,
        "reason": None if traced else record["reason"],
        "added": verdict.added if verdict is not None else [],
        "calls": verdict.called if verdict is not None else [],
        "documented": _documented(facts),
        "legacy": _legacy(facts),
        "alias_of": others,
        "mode": record.get("mode"),
        "arguments": cases[0]["arguments"] if traced else [],
        "cases": _cases(cases),
        "file": facts.get("file"),
        "line": facts.get("line"),
    }


def _cases(cases: Sequence[Mapping[str, Any]]) -> list[Row]:
    """The cases that differ in their arguments: not every function takes tensors of every dtype."""
    found: dict[Any, Row] = {}
    for case in cases:
        ops = case.get("ops")
        one = {
            "dtype": case["dtype"],
            "arguments": case.get("arguments", []),
            "ops": [op["op"] for op in ops] if ops is not None else None,
            "error": case.get("error"),
        }
        found.setdefault(str(one["error"] or one["arguments"]), one)
    return list(found.values())


class _Verdict:
    """What one recorded function comes down to."""

    def __init__(self, record: Mapping[str, Any]) -> None:
        case = record["cases"][0]
        self.ops: list[str] = [op["op"] for op in case["ops"]]
        self.native: list[str] = []
        self.added: list[str] = []
        self.equal: bool | None = None
        self.native_us: float | None = None
        self.timed: str | None = None
        self.called = list(dict.fromkeys(p["native"][0] for p in record.get("parts", []) if p["native"]))
        if not any(c.get("ops") for c in record["cases"]):
            self.category = "no_op"
            return
        whole = [m for m in record["whole"] if m["equal"] is not False]
        if len(record["parts"]) == 1 and (whole or record["parts"][0]["native"]):
            self.category = "thin"
            self._natives(_matches({**record["parts"][0], "matches": whole}))
            return
        work = _work(case)
        heavy = [i for i in work if not is_plain(self.ops[i])]
        core = set(heavy or [i for i in work if self.ops[i] not in KEEPS] or work)
        parts = [p for p in record["parts"] if core & set(p["calls"])]
        covering = {_first_name(p, self.ops) for p in parts}
        covered = {i for p in parts for i in p["calls"]}
        if len(covering) > SHORT or not core <= covered:
            self.category = "unique"
            return
        self.category = "thick"
        principal = parts if heavy else parts[-1:]
        inside = {i for p in principal for i in p["calls"]}
        self.added = list(dict.fromkeys(op for i, op in enumerate(self.ops) if i not in inside))
        self._natives([m for p in reversed(principal) for m in _matches(p)])
        self.native += [n for m in whole for n in m["native"]]
        if not heavy:
            self.native += [_first_name(p, self.ops) for p in parts[:-1]]
        self.native = list(dict.fromkeys(self.native))

    def _natives(self, matches: Sequence[Mapping[str, Any]]) -> None:
        """Names of the natives, those that the wrapper itself calls first, and whether any gives the same numbers."""
        ordered = sorted(matches, key=_rank)
        self.native = list(dict.fromkeys(n for m in ordered for n in m["native"]))
        known = [m["equal"] for m in matches if m["equal"] is not None]
        self.equal = any(known) if known else None
        timed = [m for m in ordered if m.get("us") is not None]
        if timed:
            self.native_us, self.timed = timed[0]["us"], str(timed[0]["native"][0])


def _rank(match: Mapping[str, Any]) -> tuple[bool, int, bool]:
    """Of equal functions first those that give the same numbers, that TensorFlow 2 has, that the wrapper calls."""
    first = str(match["native"][0])
    kind = 2 if first.startswith("tf.raw_ops.") else 1 if first.startswith("tf.compat.") else 0
    return match["equal"] is not True, kind, not match["on_stack"]


def _matches(part: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = [m for m in part.get("matches", []) if m["equal"] is not False]
    if part["native"] and not any(m["on_stack"] for m in found):
        # it was seen at work, though calling it again did not show the same
        found.append({"native": part["native"], "on_stack": True, "equal": None})
    return found


def _first_name(part: Mapping[str, Any], ops: Sequence[str]) -> str:
    """The native function that a part of a wrapper's ops is known by: the one on the stack before its equals."""
    if part["native"]:
        return str(part["native"][0])
    matches = part.get("matches") or []
    return str(matches[0]["native"][0]) if matches else f"tf.raw_ops.{ops[part['calls'][0]]}"


def _work(case: Mapping[str, Any]) -> list[int]:
    """Indices of the op calls that lead from the values of the arguments to the result, or have an effect.

    Without them there are those that only compute shapes, fold constants, or whose result is not used. A function
    that is given no values has nothing but constants to work on: then all of its op calls are work.
    """
    ops = case["ops"]
    kinds: list[str] = []
    for op in ops:
        inputs = ["data" if f == "argument" else "constant" if f is None else kinds[f] for f in op["from"]]
        if op["op"] in SHAPES:
            kinds.append("shape")
        elif "data" in inputs or not is_plain(op["op"]):
            kinds.append("data")
        else:
            kinds.append("shape" if "shape" in inputs else "constant")
    if "data" not in kinds:
        kinds = ["data"] * len(ops)
    wanted = [i for i in case["result"] if isinstance(i, int)]
    made = {i for i, op in enumerate(ops) if op["op"] == "VarHandleOp"}
    of_variables = not wanted or set(wanted) <= made
    for i, op in enumerate(ops):
        # the initial value of a variable is work only of a function that gives back the variable
        if has_effect(op["op"]) and (of_variables or made.isdisjoint(op["from"][:1])):
            wanted.append(i)
    if not wanted:
        return [i for i, kind in enumerate(kinds) if kind == "data"]
    reached: set[int] = set()
    while wanted:
        at = wanted.pop()
        if at not in reached:
            reached.add(at)
            wanted += [f for f in ops[at]["from"] if isinstance(f, int)]
    return [i for i in sorted(reached) if kinds[i] == "data"]


def _documented(facts: Mapping[str, Any]) -> bool:
    """Whether its docstring says what it does."""
    doc = (facts.get("doc") or "").strip()
    return len(doc) > 20 and doc.rstrip(".").lower() != "deprecated"


def _legacy(facts: Mapping[str, Any]) -> bool:
    """Whether its docstring calls it deprecated, it lives in a module for what is, or only compat.v1 has it."""
    doc = (facts.get("doc") or "")[:600].lower()
    if doc.startswith("deprecated") or "this function is deprecated" in doc or "(deprecated)" in doc:
        return True
    if "legacy" in str(facts.get("module")).split("."):
        return True
    names = list(facts.get("names") or [facts["name"]])
    return all(n.startswith("tf.compat.v1.") for n in names)
