"""The settings file of `tftrace tune --pin`: lines for a shell to read."""

from __future__ import annotations

import shlex
from typing import Any, Final

from tftrace.views.terminal.wording import micros, plain

HEAD: Final = "# Settings by 'tftrace tune'"
"""How such a file begins, by which it is known as one that may be replaced."""
_WIDEST: Final = 2000


def text(document: dict[str, Any]) -> str:
    """The file's text: `export NAME=value` for each variable, with what they were chosen for as comments."""
    pin, device, tuned = document["pin"], document["device"] or {}, document["tuned"] or {}
    comments = [
        "Use them with:  . FILE; python script.py",
        f"Measured with TensorFlow {document['versions'].get('tensorflow')} on {device.get('description')}, "
        f"{tuned.get('cpus')} CPUs. On another machine, tune again.",
        pin["why"],
    ]
    if document.get("synthetic"):
        comments.append("synthetic: measured on a stand-in device, whose times prove nothing")
    if pin["total_us"] is not None:
        comments.append(_total(pin["candidate"], pin["total_us"]))
        if pin["env"]:
            comments.append(_total(pin["default"]["candidate"], pin["default"]))
            comments.append(
                f"results differ from a float64 reference by up to {pin['max_relative_difference']:.1e} of the largest"
            )
        comments.append("total of:")
        for p in document["problems"]:
            weight = p["traced_calls"] if pin["weighted_by"] == "calls" else 1
            comments.append(f"  {weight} x {p['spec']}")
    comments += [f"{row['spec']} alone would be faster with {row['candidate']}" for row in pin["disagree"]]
    for row in pin["in_code"]:
        comments.append(
            f"{row['spec']} would be faster with a change of the program: {'; '.join(row['code'])}"
        )
    # a line's end within a name must not begin a line of its own
    lines = [HEAD, *(f"# {plain(comment, _WIDEST)}" for comment in comments)]
    lines += [
        f"export {name}={shlex.quote(value)}" for name, value in pin["env"].items() if name.isidentifier()
    ]
    return "\n".join(lines) + "\n"


def _total(name: str, times: dict[str, Any]) -> str:
    interval = (
        f" ({micros(times['low_us'])} to {micros(times['high_us'])})" if times["low_us"] is not None else ""
    )
    return f"{name}: {micros(times['time_us'])}{interval}"
