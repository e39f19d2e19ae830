"""Writes the comparison as one HTML page: charts and tables that are filtered together."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tftrace.views.comparison.wording import (
    EXPLAINED,
    VERDICTS,
    change,
    judged,
    node_name,
    verdict,
    verdict_counts,
)
from tftrace.views.page import json_element, legible, one_scope, page, plotly, resource, write_page

EXTENSION: Final = ".html"

_HERE: Final = "tftrace.views.comparison"
_SCRIPTS: Final = ("shown.js", "charts.js", "tables.js", "comparison.js")
_SIZES: Final = ("input", "filter", "output", "shapes", "kind")
_SHORT: Final = 60
_KERNEL: Final = 200

_SKELETON: Final = """\
<header id="bar"><h1>tftrace comparison <span dir="auto">{heading}</span></h1>{synthetic}
<div id="tools" role="search">
<span id="found" role="status" aria-live="polite"></span>
<input id="search" type="search" autocomplete="off" spellcheck="false" aria-label="Search problems, ops and kernels"
 placeholder="/  op, size, algorithm, cause">
<select id="op" aria-label="Op"></select><select id="direction" aria-label="Direction"></select>
<select id="device" aria-label="Device"></select><select id="verdict" aria-label="Verdict"></select>
<button id="theme" type="button" title="Switch between light and dark">Dark</button></div></header>
<main id="main">
<section id="runs"><h2>Runs</h2><table id="environment"></table><ul id="summary"></ul></section>
<p id="nothing" hidden>No library reported an algorithm in these runs: they are compared by ops.</p>
<section class="chart"><h2>Time of a call</h2><div class="options"><label><input id="log" type="checkbox"> logarithmic
</label></div><p class="cut" hidden></p><div id="bars"></div></section>
<section class="chart"><h2>Time against workspace</h2><p class="cut" hidden></p><div id="scatter"></div></section>
<section class="chart"><h2>Problems and algorithms</h2><p class="cut" hidden></p><div id="heat"></div></section>
<section id="table"><h2>Problems</h2><div class="wide"><table id="problems"></table></div></section>
<section id="others"><h2>Ops, lines and kernels</h2><div role="tablist" id="tabs"></div>
<div class="wide" id="panel" role="tabpanel"><table id="rows"></table></div></section></main>
<footer id="status">{explained}</footer>
"""


def write_comparison(document: Mapping[str, Any], path: Path) -> None:
    """Writes the document of `tftrace compare` to `path`: one HTML page that opens offline.

    Raises UsageError where `path` cannot be written.
    """
    traces = [legible(t, 120) for t in document["traces"]]
    others = ", ".join(traces[1:])
    heading = f"{traces[0]} (baseline) against {others}"
    body = _SKELETON.format(
        heading=html.escape(legible(heading, 240)),
        synthetic='<strong id="synthetic">synthetic: stand-in GPU</strong>' if document["synthetic"] else "",
        explained=html.escape(f"Intervals at {100 * document['level']:.0f} %. {EXPLAINED}"),
    )
    script, sheets = plotly()
    content = page(
        f"{legible(heading, 160)} · tftrace comparison",
        sheets + body + json_element("meta", _meta(document, traces)),
        resource(_HERE, "comparison.css"),
        [script, one_scope(_HERE, _SCRIPTS)],
    )
    write_page(content, path)


def _meta(document: Mapping[str, Any], traces: Sequence[str]) -> dict[str, Any]:
    """What the page draws. Every text is legible; runs are numbers, the baseline being 0."""
    numbers = {trace: at for at, trace in enumerate(document["traces"])}
    return {
        "traces": traces,
        "verdicts": VERDICTS,
        "environment": [
            {"name": _text(_named(d)), "values": [_text(v) for v in d["values"]]} for d in document["environment"]
        ],
        "runs": [{"steps": r["steps"], "tracing": r["tracing_us"]} for r in document["runs"]],
        "counts": verdict_counts(document["problems"]),
        "summary": document["summary"] | {
            key: [[numbers[t], v] for t, v in document["summary"][key].items()]
            for key in ("in_all_us", "unchanged_ratio")
        },
        "gates": [{**g, "failures": [_text(f) for f in g["failures"]]} for g in document.get("gates", [])],
        "problems": [_problem(row, at, numbers) for at, row in enumerate(document["problems"], 1)],
        "tables": {
            "ops": [_row(row, row["op"], "", numbers) for row in document["ops"]],
            "lines": [_row(row, row["op"], _where(row), numbers) for row in document["sites"]],
            "kernels": [
                _row(row, legible(row["kernel"], _KERNEL), row["layer"], numbers) for row in document["kernels"]
            ],
        },
    }  # fmt: skip


def _problem(row: Mapping[str, Any], number: int, numbers: Mapping[str, int]) -> dict[str, Any]:
    problem = row["problem"]
    sizes = "  ".join(str(problem[k]).replace(", ", ",") for k in _SIZES if problem.get(k))
    if not sizes:
        sizes = node_name(problem) or ""
    present = [r for r in row["runs"] if r["present"]]
    return {
        "n": number,
        "op": _text(problem["op"]),
        "direction": _text(problem.get("direction")),
        "sizes": _text(sizes),
        "short": legible(_cut(f"#{number} {problem['op']} {sizes}")),
        "form": _text(" ".join(str(problem[k]) for k in ("layout", "dtype", "math") if problem.get(k))),
        "facts": [[_text(k), _text(v)] for k, v in problem.items() if v not in (None, [], "")],
        "devices": sorted({_text(r["device_model"] or r["device"]) or "(not known)" for r in present}),
        "library": _text(present[0]["library"]),
        "verdict": verdict(row),
        "evidence": row["evidence"],
        "runs": [_run(r) for r in row["runs"]],
        "changes": [_change(c, numbers) for c in row["changes"]],
    }


def _run(run: Mapping[str, Any]) -> dict[str, Any]:
    if not run["present"]:
        return {"present": False}
    return {
        "present": True,
        "pick": _text(run["pick"]),
        "evidence": _text(run["evidence"]),
        "kernel": _text(run["kernel"]),
        "also": [[_text(p["pick"]), p["calls"]] for p in run["also"]],
        "time": run["time_us"], "low": run["low_us"], "high": run["high_us"], "of": _text(run["time_of"]),
        "repetitions": run["repetitions"], "note": _text(run["note"]), "calls": run["calls"],
        "warm": run["warm_up_us"], "warmCalls": run["warm_up_calls"], "tuning": run["tuning_us"],
        "workspace": run["workspace_bytes"], "device": _text(run["device_model"] or run["device"]),
        "version": _text(run["version"]),
        "candidates": [
            {
                "pick": _text(c["pick"]), "kernel": _text(c["kernel"]), "time": c["time_us"], "of": _text(c["time_of"]),
                "workspace": c["workspace_bytes"], "status": _text(c["status"]), "chosen": c["chosen"],
                "evidence": _text(c["evidence"]),
            }
            for c in run["candidates"]
        ],
    }  # fmt: skip


def _change(of: Mapping[str, Any], numbers: Mapping[str, int]) -> dict[str, Any]:
    return {
        "run": numbers[of["trace"]],
        "text": change(of),
        "judged": _text(judged(of)),
        "time": of["time"],
        "perStep": of["per_step_us"],
        "inAll": of["in_all_us"],
        "cause": _text(of.get("cause")),
        "tried": _text(of.get("also_tried")),
        "kernel": bool(of.get("kernel_changed")),
        "note": _text(of["note"]),
        "method": of["method"],
    }


def _row(row: Mapping[str, Any], name: str, where: str, numbers: Mapping[str, int]) -> dict[str, Any]:
    return {
        "name": _text(name),
        "where": _text(where),
        "verdict": verdict(row),
        "runs": [
            {"present": r["present"], "count": r["count"], "time": r["time_us"], "low": r.get("low_us"),
             "high": r.get("high_us"), "all": r["in_all_us"]}
            for r in row["runs"]
        ],
        "changes": [_change(c, numbers) for c in row["changes"]],
    }  # fmt: skip


def _where(row: Mapping[str, Any]) -> str:
    lines = [str(n) for listed in row["lines"] if listed for n in listed]
    return f"{row['file']}:{','.join(dict.fromkeys(lines)) or '?'}  {row['code']}"


def _named(difference: Mapping[str, Any]) -> str:
    kind, name = difference["kind"], difference["name"]
    return str(kind) if name in (kind, f"{kind}s") else f"{kind} {name}"


def _cut(text: str) -> str:
    return text if len(text) <= _SHORT else f"{text[: _SHORT - 1]}…"


def _text(value: Any) -> str | None:
    return None if value is None else legible(str(value))
