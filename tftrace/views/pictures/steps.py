"""The figure of a run's steps: a bar a step, stacked by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from tftrace.model.layers import LAYERS
from tftrace.views.colours import colour

if TYPE_CHECKING:
    import plotly.graph_objects as go

MOST: Final = 400
"""Bars drawn; of more steps each bar is the mean of several in a row."""


def steps_figure(frame: pd.DataFrame, title: str = "", most: int = MOST) -> go.Figure:
    """The bars of `tftrace.analysis.steps.steps`: what each layer spent itself, threads and streams added up,
    and beside them how long the step took on the clock. Steps with an execution in warm-up are hatched. What ran
    before the first step is the first bar; of more than `most` steps each bar is the mean of several.
    """
    import plotly.graph_objects as go

    number = frame["step"].fillna(-1).to_numpy(np.int64) if len(frame) else np.zeros(0, np.int64)
    values, at = np.unique(number, return_inverse=True)
    before = bool(len(values)) and values[0] < 0
    several = -(-max(len(values) - before, 1) // most)
    # What ran before the first step keeps a bar of its own.
    bar = np.where(at < before, 0, (at - before) // several + before)
    bars = int(bar.max(initial=-1)) + 1
    bar_of = np.zeros(len(values), np.int64)
    bar_of[at] = bar
    size = np.maximum(np.bincount(bar_of, minlength=bars), 1)
    first = np.array([values[bar_of == b][0] for b in range(bars)], np.int64)
    names = [_name(int(first[b]), int(size[b]), bars == 1) for b in range(bars)]
    warm = np.zeros(bars, bool)
    warm[bar[frame["warm_up"].to_numpy(bool)]] = True
    figure = go.Figure()
    layer = frame["layer"].to_numpy()
    for one in LAYERS:
        mine = layer == one
        own = np.bincount(bar[mine], frame["self_us"].to_numpy(np.float64)[mine], bars) / size / 1e6
        if not own.any():
            continue
        figure.add_bar(
            x=names, y=own, name=one,
            marker={
                "color": colour(one),
                "line": {"width": 0.5, "color": "rgba(0,0,0,.45)"},
                "pattern": {
                    "shape": ["/" if w and not warm.all() else "" for w in warm],
                    "fillmode": "overlay", "fgcolor": "rgba(0,0,0,.45)", "size": 7, "solidity": 0.2,
                },
            },
            hovertemplate=f"%{{x}}<br>{one}: %{{y:.4s}}s<extra></extra>",
        )  # fmt: skip
    span = np.zeros(len(values))
    span[at] = frame["span_us"].to_numpy(np.float64)
    clock = np.bincount(bar_of, span, bars) / size / 1e6
    figure.add_scatter(
        x=names, y=clock, mode="markers", name="on the clock",
        marker={"symbol": "diamond", "size": 9, "line": {"width": 1.5, "color": "#000000"}, "color": "#ffffff"},
        hovertemplate="%{x}<br>on the clock: %{y:.4s}s<extra></extra>",
    )  # fmt: skip
    hatched = (
        ", hatched: warm-up" if warm.any() and not warm.all() else ", all of it warm-up" if warm.any() else ""
    )
    mean = f"mean of {several:,} steps each" if several > 1 else "per step"
    figure.update_layout(
        barmode="stack",
        title={"text": title, "font": {"size": 15}},
        legend={"title": {"text": f"own time by layer{hatched}"}, "traceorder": "normal"},
        xaxis={"title": {"text": "step"}, "type": "category"},
        yaxis={"title": {"text": f"time {mean}, threads added up"}, "ticksuffix": "s", "tickformat": "~s"},
        margin={"l": 70, "r": 20, "t": 60 if title else 30, "b": 50},
    )
    return figure


def _name(step: int, several: int, alone: bool) -> str:
    if step < 0:
        return "no step was told" if alone else "before"
    return str(step) if several == 1 else f"{step} to {step + several - 1}"
