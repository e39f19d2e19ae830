"""raw/ to tables and manifest: everything a trace holds beside its raw records, rebuilt from them alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tftrace.agent import contract
from tftrace.correlate.imported import rebuild
from tftrace.correlate.ledger import replays
from tftrace.correlate.ledger.algorithm_rows import settle
from tftrace.correlate.runs.process import ProcessFacts, add_process
from tftrace.correlate.tables.columns import TraceBuilder
from tftrace.errors import InputError
from tftrace.ingest.agent_raw import RawProcess, processes, read_process
from tftrace.model import schemas
from tftrace.store.directory import write_tables
from tftrace.store.manifest import write_manifest

Progress = Callable[[str, float], None]

NO_GPU = "it runs on GPU devices only, and this run used none"


def build(directory: Path, progress: Progress | None = None) -> dict[str, Any]:
    """Writes the tables and the manifest of the trace in `directory`; returns the manifest.

    `progress` is told what is being done and how far (0 to 1) the whole is.
    Raises InputError where raw/ cannot be read.
    """
    tell = progress or (lambda what, done: None)
    raw = directory / "raw"
    run = _run_facts(directory)
    if run.get("imported"):
        return rebuild(directory, run, tell)
    if run.get("replayed"):
        return replays.build(directory, run)
    found = processes(raw)
    builder = TraceBuilder(directory)
    parts: list[tuple[RawProcess, ProcessFacts]] = []
    problems: list[str] = []
    for i, path in enumerate(found):
        tell(f"reading process {path.name}", i / max(len(found), 1) * 0.7)
        try:
            process = read_process(path)
            parent = next((f for p, f in parts if p.process["pid"] == process.process.get("ppid")), None)
            facts = add_process(
                process, builder, bool(run.get("source", True)), parent.asked if parent is not None else None
            )
            parts.append((process, facts))
            problems += facts.problems
        except InputError as error:
            problems.append(str(error))
    tell("sorting", 0.75)
    settle(builder)
    tables = builder.streams()
    tell("writing", 0.85)
    rows = write_tables(directory, tables)
    manifest = _manifest(run, parts, problems, raw)
    manifest["tables"] = rows
    write_manifest(directory, manifest)
    tell("done", 1.0)
    return manifest


def _run_facts(directory: Path) -> dict[str, Any]:
    try:
        value = json.loads((directory / "run.json").read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise InputError(
            f"{directory / 'run.json'}: not JSON ({error}); delete it to rebuild without it"
        ) from error
    return dict(value)


def _manifest(
    run: dict[str, Any], parts: list[tuple[RawProcess, ProcessFacts]], problems: list[str], raw: Path
) -> dict[str, Any]:
    main = next((p for p, _ in parts if p.process.get("main")), parts[0][0] if parts else None)
    tensorflow = next((p for p, _ in parts if p.status.get("versions", {}).get("tensorflow")), main)
    versions = dict(tensorflow.status.get("versions", {})) if tensorflow else {}
    onednn = next(filter(None, (p.onednn_version() for p, _ in parts)), None)
    versions["onednn"] = onednn
    # what the process was told by the library it loaded, rather than what TensorFlow was built for
    versions["cudnn"] = next((f.cudnn_version for _, f in parts if f.cudnn_version), versions.get("cudnn"))
    started = run.get("started_ns")
    running = set(run.get("still_running", []))
    return {
        "format_version": schemas.FORMAT_VERSION,
        "created": datetime.fromtimestamp((started or 0) / 1e9, timezone.utc).isoformat()
        if started
        else None,
        "argv": list(run.get("argv") or (main.process.get("argv", []) if main else [])),
        "exit_status": run.get("exit_status"),
        "wall_us": (run["ended_ns"] - started) / 1000 if started and run.get("ended_ns") else None,
        "synthetic": any(bool(p.status.get("synthetic")) for p, _ in parts),
        "versions": versions,
        "devices": tensorflow.status.get("devices", []) if tensorflow else [],
        "env": dict(main.status.get("env", {})) if main else {},
        "settings": dict(tensorflow.status.get("settings", {})) if tensorflow else {},
        "clocks": [
            {"process": p.path.name, "samples": len(p.clocks), "wall_clock_steps": f.clock_steps}
            for p, f in parts
        ],
        "processes": [_process(p, f, p.path.name in running) for p, f in parts],
        "graphs": [row for _, f in parts for row in f.graphs],
        "sessions": [row for _, f in parts for row in f.sessions],
        "failures": sorted((row for _, f in parts for row in f.failures), key=lambda row: row["start_ns"]),
        "tracings": [row for _, f in parts for row in f.tracings],
        "probes": _probes(run, parts, raw),
        "unobserved": {"stream_executor": NO_GPU} if not _has_gpu(parts) else {},
        "problems": problems,
        "redacted": bool(run.get("redact")),
    }


def _has_gpu(parts: list[tuple[RawProcess, ProcessFacts]]) -> bool:
    return any("GPU" in str(d.get("name")) for p, _ in parts for d in p.status.get("devices", []))


def _process(process: RawProcess, facts: ProcessFacts, running: bool) -> dict[str, Any]:
    status = process.status
    ended = (
        "it was still running when the script had ended: what it did after that is missing"
        if running
        else "the process ended suddenly: what it had not written is missing"
    )
    return {
        "name": process.path.name,
        "pid": process.process.get("pid"),
        "ppid": process.process.get("ppid"),
        "host": process.process.get("host"),
        "main": bool(process.process.get("main")),
        "argv": process.process.get("argv", []),
        "executable": process.process.get("executable"),
        "finished": bool(status.get("finished")),
        "missing": None if status.get("finished") else ended,
        "events": facts.events,
        "exception": facts.exception,
        "threads": status.get("threads", {}),
        "faults": status.get("faults", {}),
        "cut_lines": process.cut_lines,
        "native_library": status.get("native") or "loaded",
        "fallbacks": facts.fallbacks,
        "framework_made": facts.unresolved,
        "without_wrapper": facts.unwrapped,
        "windows": [
            {k: v for k, v in w.items() if k in ("run", "why", "opened_because", "lost")}
            for w in process.windows
        ],
        "profile_options": facts.options,
        "primitives": facts.primitives,
        "device_work": facts.device_work,
        "tf_log": facts.tf_log,
    }


_RANK = {"ok": 0, "off": 1, "partly": 2, "unavailable": 3, "failed": 4}


def _probes(
    run: dict[str, Any], parts: list[tuple[RawProcess, ProcessFacts]], raw: Path
) -> list[dict[str, Any]]:
    rows = []
    disabled = set(run.get("disabled", []))
    for name in contract.PROBES:
        if name in disabled:
            rows.append(_row(name, "off", "switched off by the command line", None, None, None))
            continue
        states = [(s, p, f) for p, f in parts for s in p.status.get("probes", []) if s["name"] == name]
        if not states and name in contract.WHERE_IT_APPLIES:
            continue
        if not states:
            rows.append(_row(name, "unavailable", _why_nothing(raw, parts), None, None, None))
            continue
        # the process that got furthest speaks for the run; the others stand under `processes`
        best = min(states, key=lambda s: (_RANK.get(s[0]["status"], 9), not s[1].process.get("main")))[0]
        events: int | None = (
            sum(s["events"] or 0 for s, _, _ in states)
            if any(s["events"] for s, _, _ in states)
            else best["events"]
        )
        lost = (
            sum(s["lost"] or 0 for s, _, _ in states)
            if any(s["lost"] is not None for s, _, _ in states)
            else None
        )
        own = [f.own_us.get(name) for _, _, f in states if f.own_us.get(name) is not None]
        status, reason = best["status"], best["reason"]
        if name == "executor_log" and status == "ok":  # its own count is as old as its last word
            events = sum(f.logged for _, _, f in states)
        if name == "tf_profiler" and status in ("ok", "partly"):
            events = sum(f.profile_events for _, _, f in states)
            lost = sum(f.profile_lost for _, _, f in states)
            if lost:
                status = "partly"
                spent = (
                    "; ".join(dict.fromkeys(str(w["why"]) for p, _ in parts for w in p.windows))
                    or "no window was closed"
                )
                reason = f"{lost} op calls lie outside its windows ({spent})"
        running = run.get("still_running", [])
        if status == "ok" and any(
            not p.status.get("finished") and p.path.name not in running for _, p, _ in states
        ):
            status, reason = "partly", "the process ended suddenly"
        rows.append(_row(name, status, reason, events, lost, sum(o or 0 for o in own) if own else None))
    return rows


def _row(
    name: str, status: str, reason: str | None, events: int | None, lost: int | None, own: float | None
) -> dict[str, Any]:
    return {
        "name": name,
        "status": status,
        "reason": reason,
        "events": events,
        "lost": lost,
        "overhead_us": own,
    }


def _why_nothing(raw: Path, parts: list[tuple[RawProcess, ProcessFacts]]) -> str:
    errors = sorted(raw.glob("agent-error-*.txt"))
    if errors:
        return f"the agent could not start: {errors[0].read_text(errors='replace').strip()[:300]}"
    if not parts:
        return "the agent did not start: does the interpreter run with -I, -E or -S?"
    return "the process ended before the probe reported"
