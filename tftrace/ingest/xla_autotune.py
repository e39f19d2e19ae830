"""Reader of XLA's autotune results as text (`XLA_FLAGS=--xla_gpu_dump_autotune_results_to=F`, or a shipped database).

    file    := "version: " n results*           version 3; others as far as they look alike
             | entries*                         XLA of 2026 (JAX 0.11)
    results := "results {" device hlo result version "}"
    result  := algorithm { algo_id tuning_knobs workspace_size } | gemm { .. } | triton { .. } | other { name config }
               run_time { seconds nanos }
    entries := "entries {" key { target { device hlo_fingerprint } environment { codegen_version } }
                           value { optimal_config { backend backend_config { result } } optimal_backend_version } "}"

It holds the winner of each instruction only, and often no time. The newer form tells instruction and device by
fingerprints alone: a problem of it is known again, but not described. The text's grammar is that of `proto_text`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tftrace.errors import InputError
from tftrace.ingest.cudnn.problem import tag
from tftrace.ingest.hlo_conv import problem_of
from tftrace.ingest.proto_text import Message, first, parse, plain
from tftrace.ingest.recorded_file import read_recorded
from tftrace.ingest.tf_tuning import Candidate, Tuning, algorithm_of, duration_us

NAME: Final = "xla_autotune"
TITLE: Final = "XLA autotune results"

_ABOUT: Final = ("run_time", "scratch_bytes")
_VERSION: Final = "DNN version: "


@dataclass(frozen=True)
class Result:
    """What was found best for one instruction. `kind` is algorithm (cuDNN), gemm, triton, other, ..; `tuning` is None
    where the instruction is no convolution of cuDNN; `attrs` is everything else of it."""

    device: str | None
    hlo: str
    kind: str | None
    tuning: Tuning | None
    attrs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class AutotuneResults:
    """The results of one file in their order; `cut` says what is missing at its end, None where nothing is."""

    path: Path
    version: int | None
    results: list[Result]
    cut: str | None


def sniff(path: Path, head: bytes) -> bool:
    """Whether the first field is the version of a file of results."""
    parsed = parse(head.decode("utf-8", "replace")).message
    if "entries" in parsed:
        return isinstance(first(parsed, "entries", "key", "target", "hlo_fingerprint"), str)
    return "results" in parsed and isinstance(
        first(parsed, "results", "device") or first(parsed, "results", "hlo"), str
    )


def read(path: Path) -> AutotuneResults:
    """Reads a file, plain or compressed. Raises InputError where it cannot be read or holds no result."""
    recorded = read_recorded(path)
    text = recorded.data.decode("utf-8", "replace")
    parsed = parse(text)
    results = [
        read_one(one)
        for name, read_one in (("results", _result), ("entries", _entry))
        for one in parsed.message.get(name, [])
        if isinstance(one, dict)
    ]
    if not results:
        raise InputError(f"{path}: holds no autotune result; dump it with --xla_gpu_dump_autotune_results_to")
    rest = text[parsed.end :].strip()
    unread = f"{len(rest)} characters at its end are no results" if rest else None
    cut = recorded.cut or ("the last result is cut" if parsed.cut else unread)
    version = first(parsed.message, "version")
    return AutotuneResults(path, version if isinstance(version, int) else None, results, cut)


def _result(one: Message) -> Result:
    best = first(one, "result")
    best = best if isinstance(best, dict) else {}
    device, hlo = first(one, "device"), str(first(one, "hlo") or "")
    kind = next((name for name in best if name not in _ABOUT), None)
    told = str(device) if device is not None else None
    tuning = _tuning(best, told, hlo) if kind == "algorithm" else None
    return Result(
        told, hlo, kind, tuning, plain({k: v for k, v in one.items() if k not in ("device", "hlo")})
    )


def _entry(one: Message) -> Result:
    fingerprint = str(first(one, "key", "target", "hlo_fingerprint") or "")
    best = first(one, "value", "optimal_config", "backend_config")
    best = best if isinstance(best, dict) else {}
    kind = next((name for name in best if name not in _ABOUT), None)
    tuning, algorithm = None, first(best, "algorithm")
    if kind == "algorithm" and isinstance(algorithm, dict):
        problem = {"op": "(not known)", "direction": "other", "hlo_fingerprint": fingerprint}
        version = first(one, "value", "optimal_backend_version")
        won = _winner(best, algorithm)
        tuning = Tuning(problem, (won,), None, str(version) if version else None, "xla_autotune")
    return Result(None, fingerprint, kind, tuning, plain(one))


def _winner(best: Message, algorithm: Message) -> Candidate:
    engine, knobs, workspace = algorithm_of(algorithm)
    time_us = duration_us(first(best, "run_time"))
    return Candidate(tag(engine, knobs), engine, knobs, time_us, workspace, "ok", None, True)


def _tuning(best: Message, device: str | None, hlo: str) -> Tuning | None:
    problem, algorithm = problem_of(hlo), first(best, "algorithm")
    if problem is None or not isinstance(algorithm, dict):
        return None
    version = (device or "").partition(_VERSION)[2] or None
    return Tuning(problem, (_winner(best, algorithm),), device, version, "xla_autotune")
