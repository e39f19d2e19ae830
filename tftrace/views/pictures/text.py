"""Words in figures: plotly reads a little HTML, so that whatever comes from a trace is escaped."""

from __future__ import annotations

import html

from tftrace.views.page import legible


def shown(text: str | None, limit: int = 120) -> str:
    """Text of a trace as plotly shows it: literally, legible and of bounded length."""
    return html.escape(legible(text if text is not None else "(no name)", limit), quote=False)


def duration(us: float) -> str:
    """`1.25 ms` with three significant digits."""
    for size, unit in ((1e6, "s"), (1e3, "ms"), (1.0, "µs")):
        if abs(us) >= size:
            return f"{us / size:,.3g} {unit}" if us / size < 1000 else f"{us / size:,.0f} {unit}"
    return f"{us * 1000:.3g} ns"
