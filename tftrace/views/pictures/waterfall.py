"""The figure of one op's way down: what it spends in each layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from tftrace.model.layers import LAYERS
from tftrace.views.colours import colour
from tftrace.views.pictures.text import duration, shown

if TYPE_CHECKING:
    import plotly.graph_objects as go

LAYERS_AT: Final = {str(layer): at for at, layer in enumerate(LAYERS)}


def waterfall_figure(frame: pd.DataFrame, title: str = "") -> go.Figure:
    """The waterfall of `tftrace.analysis.waterfall.waterfall`, mean of an execution: each layer's own time begins where
    those above it end, and together they are the time on the thread that waits. What other threads and streams did
    beside it is hatched, and begins with the layer above: when it began is not told. A layer without a time says why.
    """
    import plotly.graph_objects as go

    bars: list[dict[str, Any]] = []
    notes = []
    last = reached = 0.0
    waited = set(frame["layer"][frame["place"] == "waiting"])
    for row in frame.to_dict("records"):
        layer, us, beside = str(row["layer"]), row["self_us"], row["place"] == "beside"
        if us is None or us != us:
            notes.append((layer, reached, shown(row["reason"], 110)))
        elif us or not beside:
            line = f"{layer}, elsewhere" if beside and layer in waited else layer
            bars.append(
                {
                    "layer": layer, "seen": row["seen"], "line": line, "us": float(us), "beside": beside,
                    "base": last if beside else reached,
                }
            )  # fmt: skip
            if not beside:
                last, reached = reached, reached + float(us)
    longest = max([reached, *(b["base"] + b["us"] for b in bars)])
    calls = int(frame["calls"].iloc[0])
    whole: dict[str, Any] = {
        "line": "an execution",
        "layer": None,
        "base": 0.0,
        "us": reached,
        "beside": False,
        "seen": calls,
    }
    drawn = [*bars, whole]
    figure = go.Figure(
        go.Bar(
            orientation="h", y=[b["line"] for b in drawn], base=[b["base"] / 1e6 for b in drawn],
            x=[b["us"] / 1e6 for b in drawn], text=[duration(b["us"]) for b in drawn], textposition="outside",
            cliponaxis=False,
            marker={
                "color": [colour(b["layer"]) for b in drawn],
                "line": {"width": 1, "color": "rgba(0,0,0,.45)"},
                "pattern": {
                    "shape": ["/" if b["beside"] else "" for b in drawn],
                    "fillmode": "overlay", "fgcolor": "rgba(255,255,255,.6)", "size": 9, "solidity": 0.25,
                },
            },
            customdata=[
                [b["seen"], calls, "meanwhile, elsewhere" if b["beside"] else "on the thread that waits"] for b in drawn
            ],
            hovertemplate="%{y}: %{text} %{customdata[2]}<br>seen in %{customdata[0]:,} of %{customdata[1]:,} "
            "executions<extra></extra>",
        )
    )  # fmt: skip
    kind = "in steady state" if bool(frame["steady"].iloc[0]) else "warm-up included"
    for layer, at, reason in notes:
        figure.add_annotation(
            y=layer, x=at / 1e6, text=f"<i>{reason}</i>", showarrow=False, xanchor="left", align="left",
            font={"size": 12},
        )  # fmt: skip
    said = f"mean of {calls:,} execution{'s' if calls != 1 else ''} {kind}"
    if any(b["beside"] for b in bars):
        said += "; hatched: meanwhile, on other threads and streams"
    known = [b["line"] for b in bars] + [layer for layer, _, _ in notes]
    order = sorted(dict.fromkeys(known), key=lambda name: (LAYERS_AT[name.partition(",")[0]], name))
    figure.update_layout(
        title={"text": title, "font": {"size": 15}},
        bargap=0.3,
        showlegend=False,
        xaxis={
            "title": {"text": said}, "ticksuffix": "s", "tickformat": "~s",
            "range": [0, max(longest, 1e-3) * 1.12 / 1e6],
        },
        yaxis={
            "categoryorder": "array", "categoryarray": ["an execution", *reversed(order)], "ticklabelstandoff": 6,
            "showgrid": False,
        },
        margin={"l": 140, "r": 20, "t": 60 if title else 30, "b": 60},
    )  # fmt: skip
    return figure
