"""How names, times and counts are written in a terminal, and which colour means what."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

from rich.text import Text

EVIDENCE_STYLE: Final = {"measured": "green", "joined": "cyan", "inferred": "yellow", "predicted": "magenta"}
EVIDENCE_MEANING: Final = {
    "measured": "same native stack or exact id",
    "joined": "same thread, contained in time",
    "inferred": "by name, order or shape",
    "predicted": "by cuDNN's heuristics, not run",
}
STATUS_STYLE: Final = {"observed": "green", "partly": "yellow", "unobserved": "dim"}
NONE: Final = "-"
SYNTHETIC: Final = "synthetic: a stand-in GPU ran this; its times prove nothing"
SYNTHETIC_STYLE: Final = "bold red"


def plain(value: Any, limit: int = 300) -> str:
    """Text from a trace as one printable line: control, format and bidirectional characters are spelled out.

    A name with an escape sequence in it must not move the cursor or recolour the terminal.
    """
    text = str(value)
    if len(text) > limit:
        text = text[: limit - 3] + "..."
    return text if text.isprintable() else "".join(_spelled(c) for c in text)


def _spelled(char: str) -> str:
    if char == "\t":
        return " "
    if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
        return char.encode("unicode_escape", "backslashreplace").decode("ascii")
    return char


def fate(row: Mapping[str, Any]) -> str:
    """What became of an op: `fused into _FusedConv2D, which stands for Conv2D`."""
    into = [plain(row[k]) for k in ("kernel", "into") if row.get(k)]
    if row["fate"] == "fused" and into:
        xla = row.get("kernel") == "XLA"
        where = f"XLA's {plain(row['into'])}" if xla else plain(row["kernel"])
        whose = f", which counts as {plain(row['into_op'])}" if row.get("into_op") else ""
        return f"fused into {where}{whose}"
    meaning = f": {plain(row['meaning'])}" if row.get("meaning") else ""
    there = (
        f" ({plain(row['into'])})"
        if row["fate"] in ("folded", "merged", "rewritten") and row.get("into")
        else ""
    )
    return f"{plain(row['fate'])}{meaning}{there}"


def short_fate(run: Mapping[str, Any]) -> str:
    """The same for a cell of a table: `fused into Conv2D`, `ran 10`."""
    if run["fate"] is None:
        return "(not made)"
    if run["fate"] == "ran":
        return f"ran {run['count']:,}"
    if run["fate"] == "fused":
        return f"fused into {plain(run.get('into_op') or run.get('kernel') or run.get('into'), 30)}"
    return plain(run["fate"])


def step_cost(cost: Mapping[str, Any]) -> str:
    """`a step: 7.20 ms, 3.10 ms of them in Python around 146 calls into the runtime (median of 8; ..)`."""
    share = 100 * cost["python_us"] / cost["period_us"] if cost["period_us"] else 0.0
    return (
        f"a step: {micros(cost['period_us'])}, {micros(cost['python_us'])} ({share:.0f} %) of them in Python around "
        f"{count(cost['calls'], 'call')} into the runtime "
        f"(median of {cost['steps']:,}, told by {plain(cost['told_by'])})"
    )


def own_cost(cost: Mapping[str, Any]) -> str:
    """`tftrace's own: 31.2 ms (dispatch 20.1 ms, itt 11.1 ms), 11.1 ms of it within op calls, in no op's self time`."""
    by = ", ".join(f"{plain(row['probe'])} {micros(row['us'])}" for row in cost["probes"])
    within = cost["in_calls_us"]
    text = f"tftrace's own: {micros(cost['us'])} ({by})"
    return text if within is None else f"{text}, {micros(within)} of it within op calls, in no op's self time"


def micros(us: float | None) -> str:
    """A time in three significant digits and the unit that suits it."""
    if us is None:
        return NONE
    for limit, scale, unit in ((1e3, 1.0, "us"), (1e6, 1e3, "ms"), (float("inf"), 1e6, "s")):
        if abs(us) < limit * 0.9995:
            value = us / scale
            digits = 0 if abs(value) >= 99.95 else 1 if abs(value) >= 9.995 else 2
            return f"{value:.{digits}f} {unit}"
    return NONE


def count(number: int | None, one: str = "", many: str = "") -> str:
    """A count with thousands separated, and its noun where one is given."""
    if number is None:
        return NONE
    noun = one if number == 1 else (many or one + "s")
    return f"{number:,} {noun}" if one else f"{number:,}"


def size(count_bytes: float | None) -> str:
    if count_bytes is None:
        return NONE
    for unit in ("B", "kB", "MB"):
        if count_bytes < 1000:
            return f"{count_bytes:.0f} {unit}" if unit == "B" else f"{count_bytes:.1f} {unit}"
        count_bytes /= 1000
    return f"{count_bytes:.1f} GB"


def share_bar(share: float, width: int, unicode: bool) -> Text:
    """A bar of `share` (0 to 1) of `width` cells, to an eighth of a cell where the terminal has such
    characters."""
    share = min(max(share, 0.0), 1.0)
    if not unicode:
        return Text("#" * round(share * width), style="blue")
    eighths = round(share * width * 8)
    whole, rest = divmod(eighths, 8)
    return Text("█" * whole + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[rest], style="blue")


def evidence(grade: str | None) -> Text:
    return Text(grade or NONE, style=EVIDENCE_STYLE.get(grade or "", "dim"))


def place(where: dict[str, Any] | None) -> str:
    """`file:line` of a Python line."""
    return NONE if not where else f"{plain(where.get('file'))}:{where.get('line')}"


def short_file(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def geometry(value: Any) -> str:
    """Lists of numbers without the spaces; other values as they are."""
    return plain(str(value).replace(", ", ",").replace("'", ""), 120)


def inputs(shapes: Any, dtypes: Any) -> str:
    """`[8,32,32,3] float32, [3,3,3,16] float32` from shapes and dtypes, lists or their JSON text."""
    shapes, dtypes = _decoded(shapes), _decoded(dtypes)
    if not isinstance(shapes, list) or not shapes:
        return ""
    if not isinstance(dtypes, list) or len(dtypes) != len(shapes):
        dtypes = [""] * len(shapes)
    one = (
        f"{'[?]' if shape is None else geometry(shape)} {geometry(dtype or '')}".rstrip()
        for shape, dtype in zip(shapes, dtypes, strict=True)
    )
    return plain(", ".join(one), 400)


def attributes(value: Any) -> str:
    """`strides [1,1,1,1]  padding SAME` of an op's attributes, an object or its JSON text."""
    value = _decoded(value)
    if not isinstance(value, dict):
        return ""
    return plain(
        "  ".join(f"{plain(k)} {geometry(v)}" for k, v in value.items() if v not in ("", [], None)), 400
    )


def _decoded(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return None
