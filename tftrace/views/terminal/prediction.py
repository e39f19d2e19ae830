"""Draws the document of `tftrace predict`: one list with its knobs, or those of several GPUs side by side."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from tftrace.views.terminal.tables import rows_table
from tftrace.views.terminal.wording import SYNTHETIC, SYNTHETIC_STYLE, count, geometry, plain, size

NOT_RUN: Final = (
    "predicted: in the order of cuDNN's heuristics, none of it run; which one is fastest is not known"
)
SHORT_NOTES: Final = {
    "TENSOR_CORE": "tc", "NONDETERMINISTIC": "nondet", "WINOGRAD": "wino", "REDUCED_PRECISION_REDUCTION": "reduced",
    "FFT": "fft", "DOWN_CONVERT_INPUTS": "down", "STRICT_NAN_PROP": "nan", "RUNTIME_COMPILATION": "jit",
    "WINOGRAD_TILE_4x4": "4x4", "WINOGRAD_TILE_6x6": "6x6", "WINOGRAD_TILE_13x13": "13x13",
}  # fmt: skip
_TITLES: Final = (  # what can differ between lists of one convolution, and where it stands
    ("gpu", lambda row: row["gpu"]),
    ("cudnn", lambda row: f"cuDNN {row['version'] or '?'}"),
    ("layout", lambda row: row["problem"]["layout"]),
    ("dtype", lambda row: row["problem"]["dtype"]),
    ("alignment", lambda row: f"{row['alignment_bytes']} B"),
)
_GEOMETRY: Final = ("filter", "strides", "dilations", "padding", "groups", "fused")
_GAP: Final = 2


def draw(console: Console, document: dict[str, Any], most: int) -> None:
    """The first `most` candidates of each list."""
    if document.get("synthetic"):
        console.print(SYNTHETIC, style=SYNTHETIC_STYLE)
    for rows in _groups(document["problems"]):
        console.print(_title(rows[0]))
        _draw_one(console, rows[0], most) if len(rows) == 1 else _draw_beside(console, rows, most)
        for row in rows:
            for line in _remarks(row, rows):
                console.print(Text(f"  {line}"), style="dim", soft_wrap=True)
        console.print()
    if not document["problems"]:
        console.print("There is no 2-D convolution to ask for; give one with --conv2d.")
    for left_out in document["skipped"]:
        console.print(
            f"{count(left_out['problems'], 'problem')} left out: {plain(left_out['reason'])}", style="dim"
        )
    for what in dict.fromkeys(row["left_out"] for row in document["problems"] if row["left_out"]):
        console.print(f"left out: {what}", style="dim", soft_wrap=True)
    if document["problems"]:
        console.print(NOT_RUN, style="dim", soft_wrap=True)


def _groups(problems: Iterable[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Lists of one convolution together, whatever GPU, version, layout, type and alignment."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in problems:
        problem = row["problem"]
        last = problem["layout"] == "NHWC"
        n, *rest = problem["input"]
        image = [n, *rest] if last else [n, *rest[1:], rest[0]]
        key = str([problem["op"], image, *(problem[k] for k in _GEOMETRY)])
        found.setdefault(key, []).append(row)
    return list(found.values())


def _title(row: dict[str, Any]) -> Text:
    parts = row["spec"].split(":")
    shape = [*parts[:4], *(part for part in parts[5:] if part.startswith(("dilations=", "fused=")))]
    title = Text(f"{plain(row['problem']['op'])}  {plain(':'.join(shape))}", style="bold")
    title.append(f"  {count(row['calls'], 'call')} in the run" if row["calls"] is not None else "")
    return title


def _draw_one(console: Console, row: dict[str, Any], most: int) -> None:
    console.print(Text("  " + _label(row, [name for name, _ in _TITLES])))
    lines = [
        {
            "#": c["rank"],
            "algorithm": c["algorithm"],
            "workspace": size(c["workspace_bytes"]),
            "notes": ", ".join(c["notes"]).lower() or None,
            "heuristic": c["heuristic"].lower(),
            "refused": c["reason"],
        }
        for c in row["candidates"][:most]
    ]
    if lines:
        console.print(rows_table(console, lines))


def _draw_beside(console: Console, rows: list[dict[str, Any]], most: int) -> None:
    names = _differing(rows)
    labels = [_label(row, names) for row in rows]
    # two of one name are two columns all the same: versions that could not be asked, say
    labels = [f"{x} ({labels[:i].count(x) + 1})" if labels.count(x) > 1 else x for i, x in enumerate(labels)]
    columns = [
        (
            _label(row, names),
            [_cell(c) for c in row["candidates"][:most]] or (["none"] if row["failed"] else []),
        )
        for label, row in zip(labels, rows, strict=True)
    ]
    for some in _fitting(columns, console.width - 6):
        lines = [
            {"#": at + 1, **{label: cells[at] if at < len(cells) else None for label, cells in some}}
            for at in range(max(len(cells) for _, cells in some))
        ]
        console.print(rows_table(console, lines))


def _fitting(columns: list[tuple[str, list[str]]], width: int) -> Iterable[list[tuple[str, list[str]]]]:
    """The columns in as many tables as they need to be seen whole."""
    some: list[tuple[str, list[str]]] = []
    left = width
    for label, cells in columns:
        needed = max(len(text) for text in (label, *cells)) + _GAP
        if some and needed > left:
            yield some
            some, left = [], width
        some.append((label, cells))
        left -= needed
    yield some


def _cell(candidate: dict[str, Any]) -> str:
    notes = [SHORT_NOTES.get(note, note.lower()) for note in candidate["notes"]]
    refused = ["refused"] if candidate["reason"] else []
    return " ".join([f"eng{candidate['engine']}", *notes, *refused, size(candidate["workspace_bytes"])])


def _differing(rows: list[dict[str, Any]]) -> list[str]:
    names = [name for name, told in _TITLES if len({told(row) for row in rows}) > 1]
    return names or ["gpu"]


def _label(row: dict[str, Any], names: list[str]) -> str:
    return plain(" ".join(told(row) for name, told in _TITLES if name in names))


def _remarks(row: dict[str, Any], rows: list[dict[str, Any]]) -> Iterable[str]:
    label = f"{_label(row, _differing(rows))}: " if len(rows) > 1 else ""
    candidates = row["candidates"]
    if row["failed"]:
        yield f"{label}no candidates: {plain(row['failed'])}"
    if candidates:
        on_cores = sum("TENSOR_CORE" in c["notes"] for c in candidates)
        varying = sum("NONDETERMINISTIC" in c["notes"] for c in candidates)
        known = [c["workspace_bytes"] for c in candidates if c["workspace_bytes"] is not None]
        spread = f", workspace {size(min(known))} to {size(max(known))}" if known else ""
        yield (
            f"{label}{count(len(candidates), 'candidate')}, {on_cores} on tensor cores, "
            f"{varying} nondeterministic{spread}"
        )
    if row["padded"]:
        yield f"{label}TensorFlow pads the input to {geometry(row['problem']['input'])} first"
    for pick in row["run"]:
        where = plain(pick["device_model"] or pick["device"] or "a device not known")
        other = {True: "", False: ", another GPU", None: ", a GPU not known"}[pick["same_gpu"]]
        other = other if pick["library"] == row["library"] else ""
        place = f"number {pick['rank']} of {pick['of']}" if pick["rank"] else plain(pick["reason"])
        version = plain(pick["version"] or "")
        yield (
            f"{label}the run picked {plain(pick['algorithm'])} ({pick['evidence']}; "
            f"{' '.join(w for w in (plain(pick['library']), version) if w)} on {where}{other}): {place}"
        )
    if row["tensorflow_layout"]:
        yield (
            f"{label}TensorFlow transposes {row['problem']['dtype']} to {row['tensorflow_layout']} on this GPU: "
            f"see --layout {row['tensorflow_layout'].lower()}"
        )
