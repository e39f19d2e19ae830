"""The cuDNN calls of an op as stages, in the order in which somebody who calls cuDNN by hand goes through them.

    handle > descriptors > heuristics > engines > plans > trials > execute

A stage stands where its first call was made; a stage that the op did not go through is left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.text import Text
from rich.tree import Tree

from tftrace.views.terminal.wording import count, micros, plain

_STAGES = (  # of a descriptor, by its name or that of its attribute; the first that fits
    (re.compile(r"^ENGINEHEUR"), "heuristics", "which engines suit the graph"),
    (re.compile(r"^EXECUTION_PLAN"), "plans", "an engine made ready, its workspace asked"),
    (re.compile(r"^(ENGINE|KNOB)"), "engines", "engine configurations and their knobs"),
    (re.compile(r"^VARIANT_PACK"), "execute", "pointers and workspace, then the call"),
    (re.compile(r"."), "descriptors", "tensors, operation, operation graph"),
)
_HANDLE = re.compile(r"^cudnn(Create|Destroy|SetStream|GetStream|GetVersion|GetProperty|GetCudartVersion)$")
_SEARCH = re.compile(r"^cudnn(Find|Get)\w*Algorithm|WorkspaceSize$")
_DESCRIBES = re.compile(r"^cudnn(Create|Set|Get|Destroy)\w*Descriptor")
_NAMES = 8


@dataclass
class _Stage:
    name: str
    meaning: str
    calls: int = 0
    us: float = 0.0
    made: dict[str, int] = field(default_factory=dict)
    runs: list[dict[str, Any]] = field(default_factory=list)


def is_cudnn(call: dict[str, Any]) -> bool:
    return str(call.get("call") or "").startswith("cudnn")


def draw(branch: Tree, calls: Sequence[dict[str, Any]]) -> None:
    """Adds the stages of those among `calls` (`library_calls` of the why contract) that are cuDNN's."""
    stages: dict[str, _Stage] = {}
    for call in calls:
        if not is_cudnn(call):
            continue
        name, meaning = _stage(call)
        stage = stages.setdefault(name, _Stage(name, meaning))
        n = int(call.get("count") or 1)
        stage.calls += n
        stage.us += float(call.get("total_us") or 0)
        if _runs(call):
            stage.runs.append(call)
        elif str(call["call"]).endswith("CreateDescriptor") or not call.get("about"):
            what = str(call.get("about") or call["call"])
            stage.made[what] = stage.made.get(what, 0) + n
    total = sum(s.calls for s in stages.values())
    tree = branch.add(Text(f"cuDNN, {count(total, 'call')} in the order in which it is used", style="dim"))
    for stage in stages.values():
        row = Text(f"{stage.name:<12}", style="bold")
        row.append(f"{stage.calls:>7,}  {micros(stage.us):>8}  {_made(stage)}", style="not bold")
        row.append(f"  {stage.meaning}", style="not bold dim")
        inner = tree.add(row)
        for run in stage.runs:
            inner.add(_run(run))


def _stage(call: dict[str, Any]) -> tuple[str, str]:
    name, about = str(call["call"]), str(call.get("about") or "")
    if _runs(call):
        if call.get("tuning"):
            return "trials", "the autotuner runs each plan"
        return "execute", "pointers and workspace, then the call"
    if _HANDLE.match(name):
        return "handle", "the library, and the stream it works on"
    if _SEARCH.search(name):
        return "search", "which algorithm, and what workspace it needs"
    if about.startswith("VARIANT_PACK") and call.get("tuning"):
        return "trials", "the autotuner runs each plan"
    for pattern, stage, meaning in _STAGES:
        if about and pattern.match(about):
            return stage, meaning
    return ("descriptors", _STAGES[-1][2]) if _DESCRIBES.match(name) else ("other", "")


def _runs(call: dict[str, Any]) -> bool:
    """Whether the call starts work on the device, and is no preparation of such a call."""
    name = str(call["call"])
    prepares = _HANDLE.match(name) or _SEARCH.search(name) or _DESCRIBES.match(name)
    return name == "cudnnBackendExecute" or not (
        prepares or name.startswith("cudnnBackend") or call.get("about")
    )


def _made(stage: _Stage) -> str:
    named = [plain(what) + (f" x{n:,}" if n > 1 else "") for what, n in stage.made.items()]
    return ", ".join(named[:_NAMES]) + (f" and {len(named) - _NAMES} more" if len(named) > _NAMES else "")


def _run(call: dict[str, Any]) -> Text:
    row = Text(f"{count(call.get('count')):>7}  {micros(call.get('total_us')):>8}  {plain(call['call'])}")
    how = call.get("algorithm") or call.get("engine")
    if how is not None:
        row.append(f"  {plain(how)}", style="bold")
    if call.get("workspace_bytes") is not None:
        row.append(f"  workspace {call['workspace_bytes']:,} B", style="dim")
    if not str(call.get("status") or "SUCCESS").endswith("SUCCESS"):
        row.append(f"  {plain(call['status'])}", style="red")
    return row
