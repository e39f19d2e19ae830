"""The messages of TensorFlow's log that say something of a convolution, an engine or a choice, by their text.

Each kind has a phrase that every one of its messages holds, and a function that reads the message (without its head):
the fields it tells, or None where it is another message after all. What a message tells beside them stays in its text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from tftrace.ingest.cudnn.frontend_log import plan_of
from tftrace.ingest.proto_text import parse

Fields = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    name: str
    phrase: bytes
    read: Callable[[str], Fields | None]


def _pattern(expression: str) -> Callable[[str], Fields | None]:
    """Reads by a regular expression's named groups; one named `.._n` is an integer, `.._f` a float."""
    compiled = re.compile(expression, re.DOTALL)

    def read(text: str) -> Fields | None:
        match = compiled.search(text)
        if match is None:
            return None
        fields: Fields = {}
        for name, value in match.groupdict().items():
            if value is None:
                continue
            if name.endswith("_n"):
                fields[name[:-2]] = int(value)
            elif name.endswith("_f"):
                fields[name[:-2]] = float(value)
            else:
                fields[name] = value
        return fields

    return read


_PAIR = re.compile(r"(\w+) = (-?\d{1,18})")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s)(?![a-z])")
_UNIT_US: Final = {"ns": 1e-3, "us": 1.0, "ms": 1e3, "s": 1e6}
_CONFIG = re.compile(r"\{(?P<backend>\w+) : ")
_TAIL = re.compile(r"\}\s*duration: (?P<duration>\S+), scratch_bytes: (?P<scratch>\d{1,18})\}")


def _sizes(text: str) -> Fields | None:
    op, _, rest = text.partition(": in_depth = ")
    if not rest or not op.isidentifier():
        return None
    return {"op": op, **{k: int(v) for k, v in _PAIR.findall(f"in_depth = {rest}")}}


def microseconds(text: str) -> float | None:
    """A duration as Abseil writes it ("1.5ms", "200us"), in microseconds."""
    parts = _DURATION.findall(text)
    return sum(float(n) * _UNIT_US[unit] for n, unit in parts) if parts else None


def _tuning(text: str) -> Fields | None:
    if not text.startswith("goo.gle/debug") or "ConvolutionProto" not in text:
        return None
    parsed = parse(text)
    return {"log": parsed.message, "cut": parsed.cut}


def _map(text: str) -> Fields | None:
    match = re.match(r"autotune_map (?P<map>\w+) (?P<verb>\w+): ", text)
    if match is None:
        return None
    parsed = parse(text, match.end())
    rest = text[parsed.end :]
    chosen = re.search(r"-> \(\{(?P<algorithm>[^\s]*?)\}(?:, |\)|$)", rest)
    return {
        "map": match["map"], "verb": match["verb"], "parameters": parsed.message, "cut": parsed.cut or "->" not in rest,
        **({"algorithm": engine_tag(chosen["algorithm"])} if chosen else {}),
    }  # fmt: skip


def engine_tag(text: str) -> str:
    """`eng2{k1=3,k4=0}` of a log as the tag of a plan, `eng2_k1=3_k4=0`; another text stays as it is."""
    match = re.fullmatch(r"(eng\d+)\{([^}]*)\}?", text)
    if match is None:
        return text
    return "_".join([match[1], *(k for k in match[2].split(",") if k)])


def _winner(text: str) -> Fields | None:
    match = re.search(
        r"fastest algorithm: (?P<time>\S+) with algo (?P<tag>[^\s,]+), workspace bytes (?P<bytes>\d{1,18})",
        text,
    )
    if match is None:
        return None
    return {
        "time_us": microseconds(match["time"]), "tag": match["tag"], "workspace_bytes": int(match["bytes"]),
        **plan_of(match["tag"]),
    }  # fmt: skip


def _plan(text: str) -> Fields | None:
    match = re.search(
        r"Do cudnn execution plan with plan tag: (\S+)(?:\s+Workspace size in bytes: (\d{1,18}))?", text
    )
    if match is None:
        return None
    return {"tag": match[1], "workspace_bytes": int(match[2]) if match[2] else None, **plan_of(match[1])}


def _trial(text: str) -> Fields | None:
    match = re.search(
        r"cudnn op with plan (?P<tag>[^\s,]+), workspace_size=(?P<bytes>\d{1,18}) -> (?P<status>\w+)(?: in (?P<ms>[\d.]+)ms)?",
        text,
    )
    if match is None:
        return None
    return {
        "tag": match["tag"], "workspace_bytes": int(match["bytes"]), "status": match["status"],
        "time_us": float(match["ms"]) * 1000 if match["ms"] else None, **plan_of(match["tag"]),
    }  # fmt: skip


def _xla(prefix: str) -> Callable[[str], Fields | None]:
    """A candidate of XLA's autotuner: `{Cudnn : goo.gle/.. { algo_id: 2 .. } duration: 206.75us, scratch_bytes: 8192}`."""

    def read(text: str) -> Fields | None:
        match = _CONFIG.match(text, len(prefix)) if text.startswith(prefix) else None
        tail = _TAIL.search(text)
        if match is None or tail is None:
            return None
        body = text[match.end() : tail.start()]
        body = body.partition("{")[2] if "{" in body else body
        return {
            "backend": match["backend"], "config": parse(body).message,
            "time_us": microseconds(tail["duration"]), "workspace_bytes": int(tail["scratch"]),
        }  # fmt: skip

    return read


_ENGINE = r"(?P<engine_name>eng\d+\{[^}]*\}|\d+(?:#TC)?)"
KINDS: Final = (
    Kind("conv_sizes", b": in_depth = ", _sizes),
    Kind("conv_layout", b"Compute Conv", _pattern(r"Compute Conv.* with cuDNN: data_format=(?P<data_format>\w+)(?: compute_data_format=(?P<compute_data_format>\w+))?")),
    Kind("autotune_log", b"ConvolutionProto", _tuning),
    Kind("autotune_map", b"autotune_map ", _map),
    Kind("winner", b"fastest algorithm: ", _winner),
    Kind("plan", b"Do cudnn execution plan", _plan),
    Kind("trial", b"cudnn op with plan ", _trial),
    Kind("op_graph", b"CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR", _pattern(r"Tag: (?P<tag>\S+)")),
    Kind("filter", b"Filtering engine configs", _pattern(r"disable_winograd=(?P<disable_winograd>\w+), disable_nondeterminism=(?P<disable_nondeterminism>\w+), disable_tensor_core=(?P<disable_tensor_core>\w+)")),
    Kind("plans", b"Returned execution plans size", _pattern(r"Returned execution plans size: (?P<plans_n>\d{1,9})")),
    Kind("xla_picked", b"Picked best config", _xla("Picked best config: ")),
    Kind("xla_candidate", b"scratch_bytes: ", _xla("")),
    Kind("xla_instruction", b"Getting config for HLO", _pattern(r"Getting config for HLO: (?P<hlo>.*)")),
    Kind("xla_key", b"Autotune cache miss: key", _pattern(r"<key model='(?P<device>[^']*)', hlo='(?P<hlo>.*)', version=")),
    Kind("xla_omitted", b"Omitted potentially buggy algorithm", _pattern(rf"algorithm {_ENGINE} for conv (?P<hlo>.*)")),
    Kind("xla_fallback", b"None of the algorithms provided by cuDNN heuristics", _pattern(r"Conv: (?P<hlo>.*)")),
    Kind("xla_mismatch", b"Results mismatch between different convolution", _pattern(r"in cudnn\.\s*(?P<hlo>.*) for (?P<one>\S+) vs (?P<other>\S+)")),
    Kind("difference", b"Difference at ", _pattern(r"Difference at (?P<at_n>\d{1,18}): (?P<value>\S+), expected (?P<expected>\S+)")),
    Kind("device_described", b"Device: ", _pattern(r"^Device: (?P<device>.*)")),
    Kind("platform", b"Platform: ", _pattern(r"^Platform: (?P<platform>.*)")),
    Kind("driver", b"Driver: ", _pattern(r"^Driver: (?P<driver>.*)")),
    Kind("slow_alarm", b"is taking a while", _pattern(rf"^Trying algorithm {_ENGINE} for conv (?P<hlo>.*) is taking a while")),
    Kind("slow_done", b"The operation took", _pattern(r"^The operation took (?P<duration>\S+)(?:\s+Trying algorithm (?P<engine_name>\S+) for conv)?")),
    Kind("cudnn_version", b"Loaded cuDNN version", _pattern(r"Loaded cuDNN version (?P<version_n>\d{1,9})")),
    Kind("device", b"Created device ", _pattern(r"Created device (?P<name>\S+) with (?P<memory_mb_n>\d{1,9}) MB memory:\s+-> device: (?P<ordinal_n>\d{1,4}), name: (?P<device>.*?), pci bus id: (?P<pci>\S+?)(?:, compute capability: (?P<capability>\S+))?$")),
    Kind("then_convolve", b"Called Stream::Then", _pattern(r"Called Stream::(?P<function>Then\w*Convolve\w*)\((?P<arguments>.*)\) stream=(?P<stream>\w+)")),
    Kind("launch", b"launching kernel: ", _pattern(r"^launching kernel: (?P<kernel>.+?); gdx: (?P<grid_x_n>\d{1,10}) gdy: (?P<grid_y_n>\d{1,10}) gdz: (?P<grid_z_n>\d{1,10}) bdx: (?P<block_x_n>\d{1,10}) bdy: (?P<block_y_n>\d{1,10}) bdz: (?P<block_z_n>\d{1,10})(?:; shared_mem_bytes: (?P<shared_memory_bytes_n>\d{1,18}))?")),
    Kind("copy", b"successfully enqueued async mem", _pattern(r"^successfully enqueued async (?P<what>memcpy \w+|mem\w+) of (?P<bytes_n>\d{1,18}) bytes(?: from (?P<source>\w+) to (?P<target>\w+))?(?: .*?)? on stream (?P<stream>\w+)")),
    Kind("stream", b"ed stream ", _pattern(r"^successfully (?P<verb>created|destroyed) stream (?P<stream>\w+) for executor (?P<executor>\w+)")),
    Kind("rocm_tuning", b"running auto-tune for", _pattern(r"running auto-tune for (?P<direction>\S+)")),
)  # fmt: skip
"""In the order in which they are tried: a winner's message holds the phrase of a candidate's."""
