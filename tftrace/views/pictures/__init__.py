"""Pictures beside the timeline, as plotly figures for notebooks and as HTML pages."""

from typing import Final

EXTENSION: Final = ".html"
PICTURES: Final = {
    "flame": "what ran below which line, as an icicle: widths are time, or another metric",
    "steps": "a bar a step, stacked by layer",
    "waterfall": "what an op spends in each layer on its way down",
}
"""Kinds of picture, and what each shows."""
