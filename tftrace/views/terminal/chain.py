"""Draws the document of `tftrace why`: one tree a group, the layers from top to bottom."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from tftrace.views.terminal import cudnn_calls
from tftrace.views.terminal.wording import (
    EVIDENCE_MEANING,
    EVIDENCE_STYLE,
    NONE,
    SYNTHETIC,
    SYNTHETIC_STYLE,
    attributes,
    count,
    evidence,
    fate,
    inputs,
    micros,
    plain,
    short_file,
)

_GUIDES = 4  # columns that a tree takes a level
_LAYER, _TIME, _EVIDENCE = 16, 9, 11
_CALLS_SHOWN = 6


def draw(console: Console, document: dict[str, Any]) -> None:
    groups = document["groups"]
    executions = sum(group["count"] for group in groups)
    head = Text(plain(document["pattern"]), style="bold")
    head.append(f" in {plain(document['trace'])}: ")
    head.append(f"{count(executions, 'execution')} in {count(len(groups), 'group')}")
    console.print(head)
    if document.get("synthetic"):
        console.print(SYNTHETIC, style=SYNTHETIC_STYLE)
    stacks: dict[tuple[str, ...], int] = {}
    for number, group in enumerate(groups, 1):
        console.print()
        console.print(_group(console, group, number, stacks))
    _not_run(console, document.get("not_run") or [])
    used = {entry["evidence"] for group in groups for entry in group["chain"]}
    console.print()
    for grade, meaning in EVIDENCE_MEANING.items():
        if grade in used:
            console.print(Text(f"{grade}: ", style=EVIDENCE_STYLE[grade]).append(meaning, style="dim"))


def _not_run(console: Console, rows: list[dict[str, Any]]) -> None:
    """Ops that the optimizer or XLA left no run of their own, alike ones together."""
    lines: dict[str, int] = {}
    for row in rows:
        line = f"{plain(row['op'])} of {_place(row)}: {fate(row)}"
        lines[line] = lines.get(line, 0) + 1
    if lines:
        console.print()
        console.print(Text("made, and not run by itself:", style="bold"))
    for line, n in lines.items():
        console.print(Text(f"  {line}" + (f" ({n:,} times)" if n > 1 else "")))


def _place(row: dict[str, Any]) -> str:
    python = row.get("python")
    return (
        f"{plain(short_file(python['file']))}:{python['line']}"
        if python
        else plain(row.get("node") or "no line")
    )


def _group(console: Console, group: dict[str, Any], number: int, stacks: dict[tuple[str, ...], int]) -> Tree:
    tree = Tree(_title(group, number), guide_style="dim")
    for entry in group["chain"]:
        branch = tree.add(_entry(console, entry, group))
        if entry["layer"] == "library" and entry["name"] is not None:
            _library(branch, group, number, stacks)
        if entry["layer"] == "device" and "CPU" not in str(group["device"]):
            _device(branch, group)
    return tree


def _title(group: dict[str, Any], number: int) -> Text:
    each = group["total_us"] / group["count"]
    title = Text(f"{number}. ", style="dim")
    title.append(plain(group.get("op") or "(op)"), style="bold")
    title.append(f"  {count(group['count'], 'execution')}, {micros(group['total_us'])}", style="bold")
    if group["count"] > 1:
        title.append(f", {micros(each)} each")
    title.append(f"\n{plain(group['mode'])}  {plain(group['device'] or 'device not known')}", style="dim")
    if group.get("cpu_us"):
        title.append(f"  {micros(group['cpu_us'])} more on worker threads", style="dim")
    if group.get("synthetic"):
        title.append("  synthetic", style=SYNTHETIC_STYLE)
    for line in (inputs(group.get("shapes"), group.get("dtypes")), attributes(group.get("op_attrs"))):
        if line:
            title.append(f"\n{line}", style="dim")
    return title


def _entry(console: Console, entry: dict[str, Any], group: dict[str, Any]) -> Text:
    if entry["name"] is None:
        row = Text(f"{entry['layer']:<{_LAYER}}{NONE:>{_TIME}}  {'unobserved':<{_EVIDENCE}}", style="dim")
        return _columns(console, row, [Text(plain(entry["reason"]), style="dim")])
    row = Text(f"{entry['layer']:<{_LAYER}}", style="bold")
    row.append(f"{micros(entry['total_us']):>{_TIME}}  ", style="not bold")
    grade = evidence(entry["evidence"])
    grade.pad_right(_EVIDENCE - len(grade))
    row.append_text(grade)
    return _columns(console, row, _names(entry, group))


def _names(entry: dict[str, Any], group: dict[str, Any]) -> list[Text]:
    layer = entry["layer"]
    names = entry.get("names") or [entry["name"]]
    shown = " > ".join(plain(n) for n in names) if layer == "runtime" else plain(entry["name"])
    lines = [Text(shown)]
    if layer == "python" and group["python"]:
        if group["python"].get("code"):
            lines.append(Text(plain(group["python"]["code"]).strip(), style="italic"))
        ran, made = group.get("caller"), group["python"]
        if ran and (ran["file"], ran["line"]) != (made["file"], made["line"]):
            code = f"  {plain(ran['code']).strip()}" if ran.get("code") else ""
            lines.append(Text(f"run by {plain(short_file(ran['file']))}:{ran['line']}{code}", style="dim"))
        lines += _graph_and_sessions(group)
    elif layer == "library" and group["library"]:
        lines = _library_lines(group["library"], entry)
    elif layer == "gen_op" and entry.get("where"):
        lines.append(Text(plain(short_file(entry["where"])), style="dim"))
    elif layer == "kernel" and group.get("fused"):
        parts = dict.fromkeys(f"{plain(f['op'])} ({_place(f)})" for f in group["fused"])
        lines.append(Text(f"computes in one: {plain(group['op'])}, {', '.join(parts)}", style="dim"))
    if entry.get("rule"):
        lines[0].append(f" ({plain(entry['rule'])})", style="dim")
    counts = {k: v for k, v in (entry.get("evidence_counts") or {}).items() if v}
    if len(counts) > 1:
        lines.append(Text(", ".join(f"{v:,} {plain(k)}" for k, v in counts.items()), style="dim"))
    if entry.get("reason"):
        lines.append(Text(plain(entry["reason"]), style="dim"))
    return lines


def _graph_and_sessions(group: dict[str, Any]) -> list[Text]:
    """The graph that the node stands in, with the line that made it, and the sessions that ran it."""
    lines = []
    graph = group.get("made_in")
    if graph:
        # a graph without a name is called by its number in its process
        called = f" ({plain(graph['graph'])})" if graph["kind"] == "function" else ""
        what = f"in graph {graph['graph_id']}{called}, made"
        if group["mode"] == "native" and not graph["python"]:
            lines.append(Text(f"{what} in a process without Python", style="dim"))
        else:
            lines.append(_made(what, graph, group.get("caller")))
    sessions = group.get("sessions") or []
    for row in sessions[:_CALLS_SHOWN]:
        ran = f"{count(row['count'], 'execution')} " if len(sessions) > 1 else ""
        lines.append(_made(f"{ran}by session {row['session_id']}, opened", row, None))
    if len(sessions) > _CALLS_SHOWN:
        lines.append(
            Text(f"and {len(sessions) - _CALLS_SHOWN} more sessions; --json lists them", style="dim")
        )
    return lines


def _made(what: str, row: dict[str, Any], shown: dict[str, Any] | None) -> Text:
    """`what` with the line of `row`; its source only where the reader has not just seen it."""
    place = row.get("python")
    if not place:
        return Text(f"{what} by no line of yours", style="dim")
    same = shown and (shown["file"], shown["line"]) == (place["file"], place["line"])
    code = f"  {plain(place['code']).strip()}" if place.get("code") and not same else ""
    return Text(f"{what} at {plain(short_file(place['file']))}:{place['line']}{code}", style="dim")


def _library_lines(library: dict[str, Any], entry: dict[str, Any]) -> list[Text]:
    vendor = " ".join(plain(library[k]) for k in ("name", "version") if library.get(k))
    lines = [Text(f"{vendor} {plain(library.get('call') or entry['name'])}".strip())]
    how = [plain(library[k]) for k in ("implementation", "algorithm", "engine") if library.get(k) is not None]
    if how:
        lines.append(Text("  ".join(how), style="bold"))
    if library.get("workspace_bytes"):
        lines.append(Text(f"workspace {library['workspace_bytes']:,} B", style="dim"))
    return lines


def _columns(console: Console, row: Text, lines: list[Text]) -> Text:
    """The fixed columns of a layer, then its lines in the last column, each wrapped to what is left of the
    width."""
    start = len(row)
    room = max(console.width - _GUIDES - start, 20)
    first = True
    for line in lines:
        for piece in line.wrap(console, room, overflow="fold"):
            piece.rstrip()
            if not first:
                row.append("\n" + " " * start)
            row.append_text(piece)
            first = False
    return row


def _library(branch: Tree, group: dict[str, Any], number: int, stacks: dict[tuple[str, ...], int]) -> None:
    calls = [call for call in group["library_calls"] if not cudnn_calls.is_cudnn(call)]
    if len(calls) < len(group["library_calls"]):
        cudnn_calls.draw(branch, group["library_calls"])
    if len(calls) > 1:
        which = "of library call" if len(calls) == len(group["library_calls"]) else "of other call"
        inner = branch.add(Text(f"{count(len(calls), 'kind')} {which}", style="dim"))
        for call in calls[:_CALLS_SHOWN]:
            words = "  ".join(plain(call[k]) for k in ("call", "implementation") if call.get(k))
            times = f"{count(call.get('count')):>7}  {micros(call.get('total_us')):>8}"
            inner.add(Text(f"{times}  {words}"))
        if len(calls) > _CALLS_SHOWN:
            inner.add(Text(f"and {len(calls) - _CALLS_SHOWN} more; --json lists them", style="dim"))
    native = (frame for frame in group["native_stack"] if frame["kind"] == "native")
    functions = tuple(plain(frame["function"]) for frame in native)
    if not functions:
        return
    if functions in stacks:
        branch.add(Text(f"C++: the same {len(functions)} functions as in {stacks[functions]}.", style="dim"))
        return
    stacks[functions] = number
    top = "where the thread begins" if group["mode"] == "native" else "Python"
    path = branch.add(Text(f"C++ from {top} down to the library, {len(functions)} functions", style="dim"))
    for function in reversed(functions):
        path.add(_function(function))
    if group.get("hops"):
        way = branch.add(
            Text(
                "How control gets there: both ends seen in this run, the way is TensorFlow's design",
                style="dim",
            )
        )
        for hop in group["hops"]:
            way.add(_hop(hop))


def _hop(hop: dict[str, Any]) -> Text:
    ends = " > ".join("::".join(plain(hop[end]).split("::")[-2:]) for end in ("caller", "callee"))
    told = Text(ends, style="bold").append(f"  {plain(hop['mechanism'])}\n", style="not bold")
    return told.append(plain(hop["how"]), style="not bold dim")


def _device(branch: Tree, group: dict[str, Any]) -> None:
    work = group.get("device_work") or []
    for item in work[:_CALLS_SHOWN] if len(work) > 1 else []:
        times = f"{count(item['count']):>7}  {micros(item['total_us']):>8}"
        tried = "  (tuning)" if item.get("tuning") else ""
        branch.add(Text(f"{times}{tried}  {plain(item['name'])}", no_wrap=True, overflow="ellipsis"))
    if len(work) > _CALLS_SHOWN:
        branch.add(Text(f"and {len(work) - _CALLS_SHOWN} more; --json lists them", style="dim"))


def _function(name: str) -> Text:
    """The last two parts of a C++ name carry its meaning; the namespaces before them are dimmed."""
    parts = name.split("::")
    text = Text("::".join(parts[:-2]) + "::" if len(parts) > 2 else "", style="dim")
    text.append("::".join(parts[-2:]), style="not dim")
    text.overflow = "fold"
    return text
