"""The flame graph's figure: an icicle of what ran below what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from tftrace.errors import UsageError
from tftrace.views.colours import colour, ink
from tftrace.views.pictures.text import duration, shown

if TYPE_CHECKING:
    import plotly.graph_objects as go

MOST: Final = 1500
"""Boxes drawn: more would take a browser seconds, and be too narrow to see."""
_WIDTH: Final = {"self_us": "time", "device_us": "device time", "events": "events"}


def flame_figure(
    frame: pd.DataFrame, metric: str = "self_us", title: str = "", most: int = MOST
) -> go.Figure:
    """The icicle of `tftrace.analysis.flame.flame`: a box's width is the metric summed over it and all below it.

    `metric` is one of `self_us`, `device_us`, `events`; the figure's menu switches between them, and turns the icicle
    into a flame graph. Of more than `most` boxes the narrowest are merged with their neighbours, which the merged box
    says. A click opens a box to the full width. Raises UsageError for another metric.
    """
    import plotly.graph_objects as go

    if metric not in _WIDTH:
        raise UsageError(f"no metric {metric!r} of a flame graph; there are {', '.join(_WIDTH)}")
    boxes = _boxes(frame, most)
    figure = go.Figure(
        go.Icicle(
            ids=boxes["ids"],
            parents=boxes["parents"],
            labels=boxes["labels"],
            values=boxes["values"][metric],
            branchvalues="remainder",
            sort=False,
            marker={"colors": boxes["colours"], "line": {"width": 1, "color": "rgba(0,0,0,.45)"}},
            hovertext=boxes["hover"],
            hovertemplate="%{hovertext}<br>%{percentRoot:.1%} of all<extra></extra>",
            texttemplate="%{label}",
            textfont={"color": boxes["inks"]},
            leaf={"opacity": 1},
            tiling={"orientation": "v"},
            pathbar={"visible": True},
            name="",
        )
    )
    figure.update_layout(
        title={"text": title, "font": {"size": 15}},
        margin={"l": 10, "r": 10, "t": 74 if title else 44, "b": 10},
        uniformtext={"minsize": 10, "mode": "hide"},
        updatemenus=[
            _menu(
                0.0,
                [(f"width: {_WIDTH[m]}", {"values": [boxes["values"][m]]}) for m in _metrics_first(metric)],
            ),
            _menu(0.22, [("icicle", {"tiling.flip": [""]}), ("flame graph", {"tiling.flip": ["y"]})]),
        ],
    )
    return figure


def _metrics_first(metric: str) -> list[str]:
    return sorted(_WIDTH, key=lambda m: m != metric)


def _menu(x: float, choices: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    buttons = [{"label": label, "method": "restyle", "args": [change]} for label, change in choices]
    return {
        "buttons": buttons, "x": x, "xanchor": "left", "y": 1.0, "yanchor": "bottom", "pad": {"b": 4},
        "font": {"size": 12}, "showactive": True,
    }  # fmt: skip


def _boxes(frame: pd.DataFrame, most: int) -> dict[str, Any]:
    """What is drawn: a root, the boxes kept, and below each of them one for what was merged."""
    parent = frame["parent"].fillna(-1).to_numpy(np.int64) if len(frame) else np.zeros(0, np.int64)
    own = {m: frame[m].to_numpy(np.float64).copy() for m in _WIDTH}
    below = {m: _subtree(v, parent) for m, v in own.items()}
    share = np.zeros(len(frame))
    for sums in below.values():
        whole = sums[parent < 0].sum()
        if whole > 0:
            share = np.maximum(share, sums / whole)
    # A parent's share is no smaller than its children's: a cut by share keeps whole ways from the root.
    cut = np.sort(share)[-most] if len(share) > most else 0.0
    kept = share >= max(cut, 1e-12)
    children = np.flatnonzero(~kept & np.append(kept, True)[parent])
    ids, parents, labels, colours, hover = ["all"], [""], ["whole trace"], [colour(None)], ["whole trace"]
    inks = [ink(None)]
    values: dict[str, list[float]] = {m: [0.0] for m in _WIDTH}
    columns = frame[["layer", "name", "events", "total_us", "self_us", "longest_us"]].to_dict("list")
    for at in np.flatnonzero(kept).tolist():
        layer = columns["layer"][at]
        ids.append(str(at))
        parents.append(str(parent[at]) if parent[at] >= 0 else "all")
        labels.append(shown(columns["name"][at], 60))
        colours.append(colour(layer))
        inks.append(ink(layer))
        hover.append(
            f"<b>{shown(columns['name'][at])}</b><br>{layer or 'tftrace itself'}<br>{columns['events'][at]:,} events, "
            f"{duration(columns['total_us'][at])} summed, {duration(columns['self_us'][at])} own, "
            f"longest {duration(columns['longest_us'][at])}"
        )
        for m, column in own.items():
            values[m].append(float(column[at]))
    for above in np.unique(parent[children]).tolist():
        mine = children[parent[children] == above]
        ids.append(f"rest {above}")
        parents.append(str(above) if above >= 0 else "all")
        labels.append(f"{len(mine):,} narrower")
        colours.append(colour(None))
        inks.append(ink(None))
        hover.append(f"{len(mine):,} boxes too narrow to draw, with all below them")
        for m, column in below.items():
            values[m].append(float(column[mine].sum()))
    return {
        "ids": ids, "parents": parents, "labels": labels, "colours": colours, "inks": inks, "hover": hover,
        "values": values,
    }  # fmt: skip


def _subtree(values: Any, parent: Any) -> Any:
    """Sums over each row and all below it; a parent stands before its children."""
    total = values.copy()
    for at in range(len(parent) - 1, -1, -1):
        if parent[at] >= 0:
            total[parent[at]] += total[at]
    return total
