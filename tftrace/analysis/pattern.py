"""Which calls of a trace a PATTERN means.

A pattern is a case-insensitive glob (`*`, `?`, `[..]`) on the whole of a name:

    conv2d                op type (Conv2D) or generated wrapper (gen_nn_ops.conv2d, whole or its last part)
    api:tf.nn.*           public function called on the line, by its exported name
    line:train.py:12      file:line that made the op; a path is compared from its end, the line may be left out
    kernel:*fused*        OpKernel (node:Kernel, or either side of the colon) or CUDA kernel
    library:brg_conv*     vendor call, its implementation, algorithm or engine, or the library's name

Only executions count: a node that was made and never ran matches nothing.
"""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from tftrace.analysis import libraries
from tftrace.analysis.columns import Bools, Ints, Texts, numbers, positions, table, texts
from tftrace.errors import InputError, UsageError
from tftrace.model.layers import LAYERS
from tftrace.model.trace import Trace

COLUMNS = ("api", "line", "kernel", "library")
"""Prefixes that look somewhere else than at the op."""


@dataclass(frozen=True)
class Match:
    """`sites` are the ids of the sites that ran, `calls` is a mask over the rows of the calls table."""

    sites: Ints
    calls: Bools


def match(trace: Trace, pattern: str) -> Match:
    """The executions that `pattern` means (see the module's text for its grammar).

    Raises UsageError for a pattern that means nothing, InputError where the trace holds no such execution; the line
    names what comes close.
    """
    column, glob = split(pattern)
    fits = _glob(glob)
    calls, sites = table(trace, "calls"), table(trace, "sites")
    site = positions(sites, "site_id", numbers(calls, "site_id"))
    known: list[str]
    if column in ("kernel", "library"):
        mask, known = _by_event(trace, column, fits)
        made = False
    else:
        at, known = _by_site(sites, column, fits, glob)
        mask = np.append(at, False)[site]
        made = bool(at.any())
    if not mask.any():
        fused = _fused(trace, glob) if made and column == "op" else []
        raise InputError(_nothing(trace, pattern, glob, known, made, fused, calls.num_rows))
    ran = np.zeros(sites.num_rows + 1, np.bool_)  # the last is of calls of no site
    ran[site[mask]] = True
    return Match(numbers(sites, "site_id").values[ran[:-1]], mask)


def by_site(trace: Trace, pattern: str) -> Bools | None:
    """Mask of the sites that a pattern means, whether they ran or not; None where it looks at events."""
    column, glob = split(pattern)
    if column in ("kernel", "library"):
        return None
    return _by_site(table(trace, "sites"), column, _glob(glob), glob)[0]


def split(pattern: str) -> tuple[str, str]:
    """("op" or one of `COLUMNS`, glob). Raises UsageError for an empty pattern or an unknown prefix."""
    head, colon, rest = pattern.partition(":")
    column, glob = (head.strip().lower(), rest.strip()) if colon else ("op", pattern.strip())
    if colon and column not in COLUMNS:
        raise UsageError(
            f"pattern {_short(pattern)}: there is no {_short(head + ':')}; an op type such as conv2d, or "
            + ", ".join(f"{c}:" for c in COLUMNS)
        )
    if not glob:
        raise UsageError("the pattern is empty; give an op type such as conv2d, or a glob such as 'conv*'")
    return column, glob


def _glob(glob: str) -> Callable[[str], bool]:
    found = re.compile(fnmatch.translate(glob), re.IGNORECASE).match
    return lambda text: found(text) is not None


def _flags(column: Texts, names: Callable[[str], Iterable[str]], fits: Callable[[str], bool]) -> Bools:
    """Mask of the rows of which one of the names fits; each distinct text is looked at once."""
    return column.where(np.fromiter((any(map(fits, names(v))) for v in column.values), np.bool_))


def _whole_and_last(name: str) -> tuple[str, ...]:
    return (name, name.rsplit(".", 1)[-1])


def _by_site(sites: object, column: str, fits: Callable[[str], bool], glob: str) -> tuple[Bools, list[str]]:
    if column == "op":
        op, gen_op = texts(sites, "op"), texts(sites, "gen_op")
        mask = _flags(op, lambda v: (v,), fits) | _flags(gen_op, _whole_and_last, fits)
        return mask, [*op.values, *gen_op.values, *(_whole_and_last(v)[1] for v in gen_op.values)]
    if column == "api":
        api = texts(sites, "api")
        return _flags(api, lambda v: (v,), fits), api.values
    file, line = texts(sites, "python_file"), numbers(sites, "python_line")
    at_end = _glob(f"*/{glob}")
    wanted: dict[tuple[int, int], bool] = {}
    mask = np.zeros(len(file.codes), np.bool_)
    for row, pair in enumerate(zip(file.codes.tolist(), line.values.tolist(), strict=True)):
        if pair[0] >= 0 and pair not in wanted:
            name = file.values[pair[0]].replace("\\", "/")
            places = (f"{name}:{pair[1]}", name)
            wanted[pair] = any(fits(p) or at_end(p) for p in places)
        mask[row] = wanted.get(pair, False)
    return mask, [f"{file.values[f].rsplit('/', 1)[-1]}:{n}" for f, n in wanted]


def _by_event(trace: Trace, column: str, fits: Callable[[str], bool]) -> tuple[Bools, list[str]]:
    events, members = table(trace, "events"), table(trace, "event_calls")
    layer, name = texts(events, "layer"), texts(events, "name")
    in_layer = {at: layer.where(np.array([v == at for v in layer.values], np.bool_)) for at in LAYERS}
    known: list[str]
    if column == "kernel":
        here = in_layer["kernel"] | (in_layer["device"] & numbers(events, "stream").valid)
        hit = here & _flags(name, lambda v: (v, *v.split(":", 1)), fits)
        known = [part for v in _used(name, here) for part in (v, v.rsplit(":", 1)[-1])]
    else:
        rows = np.flatnonzero(in_layer["library"])
        kinds = libraries.read(trace, rows)
        picked = np.fromiter((any(map(fits, kind.words())) for kind in kinds.kinds), np.bool_)
        hit = np.zeros(len(name.codes), np.bool_)
        hit[rows] = np.append(picked, False)[kinds.code]
        known = [word for kind in kinds.kinds for word in kind.words()]
    event = positions(events, "event_id", numbers(members, "event_id"))
    call = positions(table(trace, "calls"), "call_id", numbers(members, "call_id"))
    mask = np.zeros(table(trace, "calls").num_rows, np.bool_)
    mask[call[(call >= 0) & np.append(hit, False)[event]]] = True
    return mask, known


def _used(column: Texts, rows: Bools) -> list[str]:
    codes = np.unique(column.codes[rows])
    return [column.values[c] for c in codes[codes >= 0]]


def _letters(glob: str) -> str:
    """What is left of a glob without its wildcards; the end of a glob matters less than its letters."""
    return re.sub(r"[*?\[\]]", "", glob).lower()


def _fused(trace: Trace, glob: str) -> list[str]:
    """Kernels that ran and are named after several ops in one, the wanted one among them: `_FusedConv2D`."""
    events = table(trace, "events")
    layer, name = texts(events, "layer"), texts(events, "name")
    at_kernel = layer.where(np.array([v == "kernel" for v in layer.values], np.bool_))
    kinds = sorted({v.rsplit(":", 1)[-1] for v in _used(name, at_kernel)})
    return [k for k in kinds if "fused" in k.lower() and _letters(glob) in k.lower()]


def _nothing(
    trace: Trace, pattern: str, glob: str, known: list[str], made: bool, fused: list[str], calls: int
) -> str:
    head = f"{trace.name}: {_short(pattern)}"
    if not calls and trace.manifest.get("imported"):
        return f"{head}: the imported files tell of no op; see 'tftrace summary' and 'tftrace algorithms' of the trace"
    if not calls:
        return f"{head}: the trace holds no op call at all; did the script run TensorFlow?"
    if made:
        hint = (
            f"; TensorFlow may have run it in a fused kernel: try 'kernel:{_short(fused[0])}'"
            if fused
            else ""
        )
        return f"{head}: made, but never executed while it was traced; only executions count{hint}"
    by_fold: dict[str, str] = {}
    for name in known:
        by_fold.setdefault(name.lower(), name)
    letters = _letters(glob)
    inside = [n for n in by_fold if len(letters) > 2 and letters in n]
    close = list(dict.fromkeys([*difflib.get_close_matches(letters, by_fold, n=4, cutoff=0.5), *inside]))[:4]
    if close:
        return f"{head}: no execution matches; close to it: {', '.join(_short(by_fold[c]) for c in close)}"
    return f"{head}: no execution matches; 'tftrace summary' shows what ran"


def _short(text: str) -> str:
    """One line, at most 80 characters: names come from the trace."""
    line = "".join(c if c.isprintable() else "?" for c in text)
    return line if len(line) <= 80 else line[:77] + "..."
