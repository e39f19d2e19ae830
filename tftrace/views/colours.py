"""One colour a layer, for every picture: Okabe and Ito's, which people without full colour vision tell apart.

Black is grey where the page is dark. Yellow, sky blue and orange want a dark outline on white, where they are pale.
"""

from __future__ import annotations

from typing import Final

from tftrace.model.layers import LAYERS

_LIGHT: Final = (
    "#0072B2",
    "#56B4E9",
    "#009E73",
    "#F0E442",
    "#E69F00",
    "#D55E00",
    "#CC79A7",
    "#3B3B3B",
    "#8A8F98",
)
_DARK: Final = (
    "#2B8CCB",
    "#56B4E9",
    "#009E73",
    "#F0E442",
    "#E69F00",
    "#E8702A",
    "#CC79A7",
    "#C9CDD3",
    "#7A808A",
)

THEMES: Final = {"light": _LIGHT, "dark": _DARK}
"""By layer, in their order; last, what belongs to no layer: tftrace's own work, and what was merged."""
OTHER: Final = len(LAYERS)


def colour(layer: str | None, theme: str = "light") -> str:
    """Colour of a layer, or of what belongs to none."""
    known: tuple[str, ...] = LAYERS
    return THEMES[theme][known.index(layer) if layer in known else OTHER]


def ink(layer: str | None) -> str:
    """Colour of text on that of a layer, where the page is light."""
    return "#ffffff" if layer in ("python", "device") else "#000000"
