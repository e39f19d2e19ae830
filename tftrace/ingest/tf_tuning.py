"""What TensorFlow's log says of tuning: the problem of each autotuning log, its candidates and its winner.

TensorFlow's own autotuner logs, on one thread and in this order: the autotuning log (`autotune_log`), the winner
(`winner`), and what was put into its map (`autotune_map .. creates`), which alone names the data type. XLA's logs the
key with the instruction (`xla_key`), a line a candidate, and the best (`xla_picked`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from tftrace.ingest.cudnn.enums import KNOB_TYPE
from tftrace.ingest.cudnn.problem import tag
from tftrace.ingest.hlo_conv import problem_of as problem_of_hlo
from tftrace.ingest.proto_text import Message, first, integer
from tftrace.ingest.tf_log import LogEntry

_DIRECTION: Final = {"BACKWARD_DATA": "backprop_input", "BACKWARD_FILTER": "backprop_filter"}
_OP: Final = {
    "forward": "Conv{}D", "backprop_input": "Conv{}DBackpropInput", "backprop_filter": "Conv{}DBackpropFilter",
}  # fmt: skip
_DTYPES: Final = {
    "DT_FLOAT": "float32", "DT_HALF": "float16", "DT_BFLOAT16": "bfloat16", "DT_DOUBLE": "float64", "DT_INT8": "int8",
}  # fmt: skip

KINDS: Final = frozenset(
    (
        "device",
        "cudnn_version",
        "autotune_log",
        "winner",
        "autotune_map",
        "xla_key",
        "xla_candidate",
        "xla_picked",
    )
)
"""The messages that tell of tuning: `tunings` takes no notice of others."""


@dataclass(frozen=True)
class Candidate:
    """One algorithm that was tried; `status` as in the table algorithms, `failure` what the log says of it."""

    algorithm: str | None
    engine: int | None
    knobs: dict[str, int]
    time_us: float | None
    workspace_bytes: int | None
    status: str
    failure: str | None = None
    chosen: bool = False


@dataclass(frozen=True)
class Tuning:
    """`device` is a model; `source` is tf_log or xla_autotune; `version` is cuDNN's; None where it is not told. `entry`
    is the place of the message that told it."""

    problem: dict[str, Any]
    candidates: tuple[Candidate, ...]
    device: str | None
    version: str | None
    source: str = "tf_log"
    entry: int | None = None

    @property
    def tried(self) -> bool:
        """Whether anything was: without autotuning the log has the same form, and no times."""
        return any(c.time_us or c.status not in ("ok", "not_tried") for c in self.candidates)


def tunings(entries: Iterable[LogEntry]) -> list[Tuning]:
    """Every tuning of a convolution that these messages tell of, in the order in which they were decided."""
    found: list[Tuning] = []
    waiting: dict[int | None, int] = {}  # thread -> the tuning whose winner and data type are still to come
    keys: dict[int | None, tuple[str, dict[str, Any] | None, list[Candidate]]] = {}
    version = None
    models: set[str] = set()
    for place, entry in enumerate(entries):
        known = entry.fields
        if entry.kind == "device":
            models.add(str(known["device"]))
        elif entry.kind == "cudnn_version":
            version = version_text(int(known["version"]))
        elif entry.kind == "autotune_log":
            waiting.pop(entry.tid, None)
            problem = convolution(known["log"])
            if problem is not None:
                waiting[entry.tid] = len(found)
                results = candidates(known["log"])
                version_ = version or _version(known["log"])
                found.append(Tuning(problem, results, _only(models), version_, entry=place))
        elif entry.kind == "winner" and entry.tid in waiting:
            at = waiting[entry.tid]
            found[at] = _decided(found[at], known.get("algorithm") or known.get("tag"))
        elif entry.kind == "autotune_map" and entry.tid in waiting and known["verb"] == "creates":
            at = waiting.pop(entry.tid)
            dtype = str(first(known["parameters"], "dtype") or "")
            typed = found[at].problem | {
                "dtype": _DTYPES.get(dtype, dtype.removeprefix("DT_").lower() or None)
            }
            found[at] = replace(found[at], problem=typed)
            if not any(c.chosen for c in found[at].candidates):
                found[at] = _decided(found[at], known.get("algorithm"))
        elif entry.kind == "xla_key":
            keys[entry.tid] = (str(known["device"]), problem_of_hlo(str(known["hlo"])), [])
        elif entry.kind == "xla_candidate" and entry.tid in keys:
            keys[entry.tid][2].append(_of_xla(known))
        elif entry.kind == "xla_picked" and entry.tid in keys:
            _, problem, tried = keys.pop(entry.tid)
            best = _of_xla(known)
            if problem is not None:
                tried = tried or [best]
                of_xla = Tuning(problem, tuple(tried), _only(models), version, "xla_autotune", place)
                found.append(_decided(of_xla, best.algorithm))
    return found


def _only(models: set[str]) -> str | None:
    """The device of a message that does not name one: known where all that the log names are alike."""
    return next(iter(models)) if len(models) == 1 else None


def candidates(log: Message) -> tuple[Candidate, ...]:
    """The results of an autotuning log. A time of 0 stands for none: that candidate was not run."""
    return tuple(_result(result) for result in log.get("results", []) if isinstance(result, dict))


def _result(result: Message) -> Candidate:
    algorithm = first(result, "algorithm")
    engine, knobs, workspace = algorithm_of(algorithm) if isinstance(algorithm, dict) else (None, {}, None)
    scratch = integer(result, "scratch_bytes")
    failure = first(result, "failure")
    kind = str(first(failure, "kind") or "UNKNOWN") if isinstance(failure, dict) else None
    message = f"{kind}: {first(failure, 'msg') or ''}".rstrip(": ") if isinstance(failure, dict) else None
    filtered = kind in ("REDZONE_MODIFIED", "WRONG_RESULT", "DISQUALIFIED")
    time_us = duration_us(first(result, "run_time")) or None
    status = "filtered" if filtered else "failed" if kind is not None else "ok" if time_us else "not_tried"
    return Candidate(
        None if engine is None else tag(engine, knobs), engine, knobs, None if failure else time_us,
        workspace if scratch is None else scratch, status, message,
    )  # fmt: skip


def algorithm_of(algorithm: Message) -> tuple[int, dict[str, int], int | None]:
    """Engine, knobs by name and workspace of an AlgorithmProto; an `algo_id` of 0 is left out of its text."""
    knobs = {}
    for knob in algorithm.get("tuning_knobs", []):
        if isinstance(knob, dict):
            number = integer(knob, "key") or 0
            knobs[KNOB_TYPE.get(number, f"k{number}")] = integer(knob, "value") or 0
    return integer(algorithm, "algo_id") or 0, knobs, integer(algorithm, "workspace_size", "value")


def duration_us(duration: object) -> float | None:
    """A google.protobuf.Duration in microseconds."""
    if not isinstance(duration, dict):
        return None
    return (integer(duration, "seconds") or 0) * 1e6 + (integer(duration, "nanos") or 0) / 1e3


def convolution(log: Message) -> dict[str, Any] | None:
    """The problem of an autotuning log; None where its instruction is no convolution with sizes. Its data type is not
    in it."""
    instruction = first(log, "instr")
    proto = next((v[0] for k, v in (instruction or {}).items() if "ConvolutionProto" in k), None)
    if not isinstance(proto, dict):
        return None
    x, w, y = (
        list((first(proto, side) or {}).get("dimensions", [])) for side in ("input", "filter", "output")
    )
    rank = len(x) - 2
    if rank < 1 or len(w) != len(x) or len(y) != len(x) or not all(isinstance(n, int) for n in (*x, *w, *y)):
        return None
    kind = str(first(proto, "kind") or "FORWARD")
    direction = _DIRECTION.get(kind, "forward")
    descriptor = first(proto, "conv_desc") or {}
    last = str(first(proto, "input", "data_layout") or "").endswith("Depth")
    spatial = "DHW"[3 - rank :] if rank <= 3 else "S" * rank
    activation = str(first(proto, "activation") or "").removeprefix("k")
    fused = ["BIAS"] if "BIAS" in kind else []
    return {
        "op": _OP[direction].format(rank), "direction": direction, "input": _ordered(x, last),
        "filter": [*w[2:], w[1], w[0]], "output": _ordered(y, last),
        "strides": list(descriptor.get("strides", [1] * rank)),
        "dilations": list(descriptor.get("dilations", [1] * rank)),
        "padding": [[p, p] for p in descriptor.get("paddings", [0] * rank)],
        "groups": integer(descriptor, "group_count") or 1, "layout": f"N{spatial}C" if last else f"NC{spatial}",
        "dtype": None, "math": None, "fused": fused + ([activation.upper()] if activation not in ("", "None") else []),
    }  # fmt: skip


def version_text(number: int) -> str:
    """cuDNN's version as text: 90300 (from 9.0 on) and 8902 (before) are 9.3.0 and 8.9.2."""
    major = 10_000 if number >= 90_000 else 1_000
    return f"{number // major}.{number % major // 100}.{number % 100}"


def _version(log: Message) -> str | None:
    numbers = [integer(log, "cudnn_version", part) or 0 for part in ("major", "minor", "patch")]
    return ".".join(str(n) for n in numbers) if any(numbers) else None


def _decided(tuning: Tuning, winner: str | None) -> Tuning:
    chosen = [replace(c, chosen=winner is not None and c.algorithm == winner) for c in tuning.candidates]
    return replace(tuning, candidates=tuple(chosen))


def _of_xla(known: dict[str, Any]) -> Candidate:
    if known["backend"] != "Cudnn":
        return Candidate(known["backend"], None, {}, known["time_us"], known["workspace_bytes"], "ok")
    engine, knobs, _ = algorithm_of(known["config"])
    return Candidate(tag(engine, knobs), engine, knobs, known["time_us"], known["workspace_bytes"], "ok")


def _ordered(sizes: list[int], last: bool) -> list[int]:
    return [sizes[0], *sizes[2:], sizes[1]] if last else list(sizes)
