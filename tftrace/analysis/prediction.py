"""What cuDNN's heuristics offer, as a ledger of its own: nothing in it was run, and no measured row stands among it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from tftrace.analysis import algorithms
from tftrace.capture.cudnn_questions import Reply, compute_dtype
from tftrace.capture.gpu_properties import Gpu
from tftrace.ingest.cudnn.heuristics import Offer, Offers, read_offers
from tftrace.ingest.tf_tuning import version_text
from tftrace.model.conv2d_spec import Conv2dSpec, Layout, OtherOpError, SpecError, from_problem
from tftrace.model.problem import canonical, identity
from tftrace.model.trace import Trace

SOURCE: Final = "cudnn_heuristics"
LIBRARY: Final = "cuDNN"
NO_CUBLASLT: Final = (
    "engines that need cuBLASLt (FFT): it does not start without a GPU; see --assume-cublaslt"
)

_TENSOR_CORES: Final = {"float16": (7, 0), "bfloat16": (8, 0), "float32": (8, 0)}


def specs_of(trace: Trace) -> tuple[list[Conv2dSpec], list[dict[str, Any]]]:
    """The 2-D convolutions of a trace's ledger, each once, those that cost most first; and what else is in it, as
    {"reason", "problems"}: a reason each, with the number of problems, and one for all that are no convolution."""
    found: dict[Conv2dSpec, None] = {}
    skipped: dict[str, int] = {}
    others: list[str] = []
    for problem in algorithms.document(trace)["problems"]:
        try:
            found.setdefault(from_problem(problem["problem"]))
        except OtherOpError:
            others.append(problem["problem"]["op"])
        except SpecError as error:
            skipped[str(error)] = skipped.get(str(error), 0) + 1
    if others:
        skipped[f"no 2-D convolution ({', '.join(sorted(set(others)))})"] = len(others)
    return list(found), [{"reason": reason, "problems": count} for reason, count in skipped.items()]


def document(
    replies: Iterable[Reply], trace: Trace | None = None, skipped: Iterable[dict[str, Any]] = ()
) -> dict[str, Any]:
    """The document of `tftrace predict --json`: that of `algorithms`, with evidence `predicted` throughout.

    A candidate has its `rank` over all, the `heuristic` that lists it and cuDNN's `notes` too. A problem has the `spec`
    that asks for it again, `gpu`, `compute_capability`, `alignment_bytes`, `padded` (whether TensorFlow pads the input
    before it asks), `failed` (why there are no candidates), `left_out` (which engines could not be listed), and in
    `run` what the trace picked for it, with the rank that this has here.
    """
    picks = {} if trace is None else _picks(trace)
    return {
        "trace": None if trace is None else trace.name,
        "synthetic": trace is not None and trace.synthetic,
        "problems": [_problem(reply, picks) for reply in replies],
        "skipped": list(skipped),
    }


def tensorflow_layout(dtype: str, compute_capability: tuple[int, int]) -> Layout:
    """The layout in which TensorFlow has cuDNN compute a convolution of NHWC tensors.

    It transposes to NCHW and back unless tensor cores take the type on that GPU: half from compute capability 7.0 on,
    bfloat16, and float32 by TF32, from 8.0 on (`ComputeInNhwcEnabled` in its source).
    """
    least = _TENSOR_CORES.get(dtype)
    return "NHWC" if least is not None and compute_capability >= least else "NCHW"


def _problem(reply: Reply, picks: dict[Conv2dSpec, list[dict[str, Any]]]) -> dict[str, Any]:
    question, gpu = reply.question, reply.question.gpu
    spec = question.padded
    problem = canonical(spec.problem() | {"math": compute_dtype(spec.dtype)})
    offers = Offers((), {"": reply.failure or "no answer"}) if reply.line is None else read_offers(reply.line)
    better = tensorflow_layout(spec.dtype, gpu.compute_capability)
    ran = picks.get(question.spec, [])
    return {
        "problem": problem,
        "problem_key": identity(problem),
        "spec": str(question.spec),
        "gpu": gpu.name,
        "device": gpu.device,
        "device_model": gpu.device,
        "compute_capability": "{}.{}".format(*gpu.compute_capability),
        "library": LIBRARY,
        "version": reply.install.version if reply.version is None else version_text(reply.version),
        "alignment_bytes": question.alignment,
        "padded": spec != question.spec,
        "calls": _calls(ran),
        "chosen": None,
        "failed": _failed(offers),
        "left_out": None if reply.cublaslt or reply.version is None else NO_CUBLASLT,
        "tensorflow_layout": better if better != spec.layout and spec.layout == "NHWC" else None,
        "run": [_beside(pick, offers, reply) for pick in ran],
        "candidates": [_candidate(offer, rank) for rank, offer in enumerate(offers.offers, start=1)],
    }


def _candidate(offer: Offer, rank: int) -> dict[str, Any]:
    return {
        "algorithm": offer.algorithm,
        "engine": str(offer.engine),
        "knobs": offer.knobs,
        "implementation": None,
        "rank": rank,
        "heuristic": offer.mode,
        "notes": list(offer.notes),
        "time_us": None,
        "workspace_bytes": offer.workspace_bytes,
        "status": "not_tried" if offer.refused is None else "unsupported",
        "reason": offer.refused,
        "chosen": False,
        "source": SOURCE,
        "evidence": "predicted",
    }


def _failed(offers: Offers) -> str | None:
    if offers.offers:
        return None
    if not offers.failures:
        return "cuDNN has no engine for it on this GPU"
    return "; ".join(f"mode {mode}: {said}" if mode else said for mode, said in offers.failures.items())


def _picks(trace: Trace) -> dict[Conv2dSpec, list[dict[str, Any]]]:
    """What the run used for each convolution, from the libraries that it used for it."""
    found: dict[Conv2dSpec, list[dict[str, Any]]] = {}
    for problem in algorithms.document(trace)["problems"]:
        won = next((c for c in problem["candidates"] if c["chosen"]), None)
        if won is None:
            continue
        try:
            spec = from_problem(problem["problem"])
        except SpecError:
            continue
        keys = ("device", "device_model", "library", "version", "calls")
        pick = {key: problem[key] for key in keys} | {
            key: won[key] for key in ("algorithm", "time_us", "evidence")
        }
        found.setdefault(spec, []).append(pick)
    return found


def _calls(picks: list[dict[str, Any]]) -> int | None:
    counted = [pick["calls"] for pick in picks if pick["calls"] is not None]
    return int(sum(counted)) if counted else None


def _beside(pick: dict[str, Any], offers: Offers, reply: Reply) -> dict[str, Any]:
    """The run's pick with its rank among the offers, None where it is not one of them, for the `reason`."""
    tag = _sorted(pick["algorithm"])
    rank = next((n for n, o in enumerate(offers.offers, start=1) if _sorted(o.algorithm) == tag), None)
    reason = None
    if rank is None and pick["library"] != LIBRARY:
        reason = f"the run used {pick['library']}"
    elif rank is None and not tag.startswith("eng"):
        reason = "the run's cuDNN names algorithms, not engines"
    elif rank is None:
        reason = "not offered here" + ("" if reply.cublaslt else ", where some engines are left out")
    return pick | {
        "rank": rank,
        "of": len(offers.offers),
        "reason": reason,
        "same_gpu": _same_gpu(pick, reply.question.gpu),
    }


def _sorted(algorithm: str | None) -> str:
    """A tag whose knobs stand in one order, `eng1_k2=4_k3=0`."""
    engine, *knobs = str(algorithm).split("_")
    return "_".join([engine, *sorted(knobs)]) if engine.startswith("eng") else str(algorithm)


def _same_gpu(pick: dict[str, Any], gpu: Gpu) -> bool | None:
    """Whether the run's GPU is of this kind, by its product name; None where the trace does not tell that, or the run
    used a library for another kind of device."""
    told = [str(pick[key]) for key in ("device_model", "device") if pick[key]]
    models = [text.lower() for text in told if not text.startswith("/")]
    if not models or pick["library"] != LIBRARY:
        return None
    return any(gpu.name in model or gpu.device.lower() in model for model in models)
