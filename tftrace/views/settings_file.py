"""The settings file of `tftrace tune --pin`: lines for a shell to read."""

from __future__ import annotations

import shlex
from typing import Any, Final

from tftrace.views.terminal.wording import micros, plain

HEAD: Final = "# Settings by 'tftrace tune'"
"""How such a file begins, by which it is known as one that may be replaced."""


def text(document: dict[str, Any]) -> str:
    """The file's text: `export NAME=value` for each variable, with what they were chosen for as comments."""
    pin = document["pin"]
    versions = document["versions"]
    lines = [
        f"{HEAD}. Use them with:  . FILE; python script.py",
        f"# Measured with TensorFlow {versions.get('tensorflow')} on {(document['device'] or {}).get('description')},"
        f" {(document['tuned'] or {}).get('cpus')} CPUs; on another machine tune again.",
        "#",
        f"# {pin['why']}",
    ]
    if pin["total_us"] is not None:
        times = " + ".join(
            f"{weight} x {p['spec']}"
            for p in document["problems"]
            for weight in [p["traced_calls"] if pin["weighted_by"] == "calls" else 1]
        )
        lines.append(
            f"# {_total(pin['candidate'], pin['total_us'])}; {_total(pin['default']['candidate'], pin['default'])}"
        )
        lines.append(f"# total of: {times}")
    if document.get("synthetic"):
        lines.append("# synthetic: measured on a stand-in device, whose times prove nothing")
    lines += [f"# {row['spec']} alone would be faster with {row['candidate']}" for row in pin["disagree"]]
    lines += [
        f"# {row['spec']} would be faster with a change of the program: {'; '.join(row['code'])}"
        for row in pin["in_code"]
    ]
    # a line's end in a name must not begin a line of its own
    lines = [plain(line, 2000) for line in lines]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in pin["env"].items()]
    return "\n".join(lines) + "\n"


def _total(name: str, times: dict[str, Any]) -> str:
    return f"{name}: {micros(times['time_us'])} ({micros(times['low_us'])} to {micros(times['high_us'])})"
