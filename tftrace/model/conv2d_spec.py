"""A 2-D convolution as it is written on the command line, and as the ledger of a trace has it.

    spec     := input ":" filter [":" strides [":" padding [":" dtype]]] (":" key "=" value)*
    input    := N "," H "," W "," C                    in this order, whatever the layout
    filter   := KH "," KW "," C "," K                  C of the input, or of one group of it
    strides  := S | SH "," SW                          default 1
    padding  := "SAME" | "VALID" | P | PH "," PW | top "," bottom "," left "," right    default SAME
    dtype    := TensorFlow's name                      default float32
    key      := "dilations" | "layout" | "direction" | "fused"

`8,56,56,64:3,3,64,64` is a forward convolution, strides 1, padding SAME, float32, NHWC. With all parts:
`8,56,56,64:3,3,64,64:2,1:1,1,0,0:bfloat16:dilations=2:layout=NCHW:direction=backprop_filter`, or
`:fused=bias,relu` behind a forward one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, cast, get_args

from tftrace.errors import UsageError
from tftrace.model.problem import fused_names

Direction = Literal["forward", "backprop_input", "backprop_filter"]
Layout = Literal["NHWC", "NCHW"]
Pair = tuple[int, int]
Four = tuple[int, int, int, int]

DIRECTIONS: Final[tuple[Direction, ...]] = get_args(Direction)
LAYOUTS: Final[tuple[Layout, ...]] = get_args(Layout)
DTYPES: Final = ("float16", "bfloat16", "float32", "float64", "int8", "int32")
ACTIVATIONS: Final = ("relu", "relu6", "elu", "leaky_relu", "sigmoid", "tanh")
OPS: Final[dict[Direction, str]] = {
    "forward": "Conv2D", "backprop_input": "Conv2DBackpropInput", "backprop_filter": "Conv2DBackpropFilter",
}  # fmt: skip
EXAMPLE: Final = "8,56,56,64:3,3,64,64:1:SAME:float32"

_ALIASES: Final = {
    "half": "float16",
    "float": "float32",
    "double": "float64",
}  # names that tf.as_dtype knows too
_KEYS: Final = ("dilations", "layout", "direction", "fused")
_LARGEST: Final = 2**31 - 1


class SpecError(UsageError):
    """No convolution that can be asked for, or a problem that is none: the message says why (exit code 2)."""


class OtherOpError(SpecError):
    """A problem that is no 2-D convolution at all."""


@dataclass(frozen=True)
class Conv2dSpec:
    """One convolution. Sizes are logical and do not depend on `layout`; `str()` writes it as it is parsed.

    `padding` is SAME, VALID or the explicit ((top, bottom), (left, right)). `fused` is () or "bias" and at most one of
    ACTIVATIONS. Raises SpecError where the parts do not fit together.
    """

    input: Four
    filter: Four
    strides: Pair = (1, 1)
    padding: Literal["SAME", "VALID"] | tuple[Pair, Pair] = "SAME"
    dtype: str = "float32"
    dilations: Pair = (1, 1)
    layout: Layout = "NHWC"
    direction: Direction = "forward"
    fused: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.input[3] % self.filter[2]:
            raise SpecError(
                f"{self}: the filter takes {self.filter[2]} channels and the input has {self.input[3]}; "
                "they have to be equal, or the input's a multiple (groups)"
            )
        if self.filter[3] % self.groups:
            raise SpecError(
                f"{self}: {self.filter[3]} output channels are not divisible by {self.groups} groups"
            )
        if min(self.output) < 1:
            raise SpecError(
                f"{self}: the filter does not fit into the input; use a smaller one, or padding SAME"
            )
        if self.fused and self.direction != "forward":
            raise SpecError(f"{self}: only a forward convolution is fused with others")

    @property
    def groups(self) -> int:
        return self.input[3] // self.filter[2]

    @property
    def paddings(self) -> tuple[Pair, Pair]:
        """((top, bottom), (left, right)) in pixels, as TensorFlow computes SAME."""
        if self.padding == "VALID":
            return (0, 0), (0, 0)
        if self.padding == "SAME":
            return self._same(0), self._same(1)
        return self.padding

    @property
    def output(self) -> Four:
        """N, H, W, K."""
        return (self.input[0], self._size(0), self._size(1), self.filter[3])

    @property
    def op(self) -> str:
        """TensorFlow's type name."""
        return OPS[self.direction]

    def problem(self) -> dict[str, Any]:
        """The `problem` of the algorithms contract: sizes in the order that the layout says."""
        return {
            "op": self.op, "direction": self.direction, "input": _ordered(self.input, self.layout),
            "filter": list(self.filter), "output": _ordered(self.output, self.layout),
            "strides": list(self.strides), "dilations": list(self.dilations),
            "padding": [list(pair) for pair in self.paddings], "groups": self.groups, "layout": self.layout,
            "dtype": self.dtype, "math": None, "fused": list(self.fused),
        }  # fmt: skip

    def __str__(self) -> str:
        parts = [
            _text(self.input),
            _text(self.filter),
            _pair_text(self.strides),
            self._padding_text(),
            self.dtype,
        ]
        if self.dilations != (1, 1):
            parts.append(f"dilations={_pair_text(self.dilations)}")
        if self.layout != "NHWC":
            parts.append(f"layout={self.layout}")
        if self.direction != "forward":
            parts.append(f"direction={self.direction}")
        if self.fused:
            parts.append(f"fused={','.join(self.fused)}")
        return ":".join(parts)

    def _padding_text(self) -> str:
        if isinstance(self.padding, str):
            return self.padding
        return _text([side for pair in self.padding for side in pair])

    def _reach(self, axis: int) -> int:
        """How many pixels a dilated filter spans."""
        return (self.filter[axis] - 1) * self.dilations[axis] + 1

    def _same(self, axis: int) -> Pair:
        size, stride = self.input[1 + axis], self.strides[axis]
        total = max((-(-size // stride) - 1) * stride + self._reach(axis) - size, 0)
        return total // 2, total - total // 2

    def _size(self, axis: int) -> int:
        size, stride = self.input[1 + axis], self.strides[axis]
        if self.padding == "SAME":
            return -(-size // stride)
        return (size + sum(self.paddings[axis]) - self._reach(axis)) // stride + 1


def parse(text: str) -> Conv2dSpec:
    """The convolution that `text` says, in the grammar above.

    Raises SpecError: which part is wrong, what it is, and what is wanted.
    """
    parts = text.strip().split(":")
    at = next((i for i, part in enumerate(parts) if "=" in part), len(parts))
    plain, keyed = parts[:at], parts[at:]
    if not 2 <= len(plain) <= 5:
        raise SpecError(
            f"{text!r} is no convolution: write input:filter:strides:padding:dtype, e.g. {EXAMPLE}"
        )
    plain += ["1", "SAME", "float32"][len(plain) - 2 :]
    options: dict[str, str] = {}
    for part in keyed:
        key, equals, value = part.partition("=")
        if not equals or key not in _KEYS or key in options:
            why = "stands twice" if key in options else f"is none of {', '.join(f'{k}=' for k in _KEYS)}"
            raise SpecError(f"{text!r}: the part {part!r} {why}")
        options[key] = value
    return Conv2dSpec(
        input=_four(text, "the input N,H,W,C", plain[0]),
        filter=_four(text, "the filter KH,KW,C,K", plain[1]),
        strides=_pair(text, "the strides", plain[2]),
        padding=_padding(text, plain[3]),
        dtype=_dtype(text, plain[4]),
        dilations=_pair(text, "the dilations", options.get("dilations", "1")),
        layout=cast(Layout, _word(text, "the layout", options.get("layout", "NHWC").upper(), LAYOUTS)),
        direction=cast(
            Direction, _word(text, "the direction", options.get("direction", "forward").lower(), DIRECTIONS)
        ),
        fused=_fused(text, options.get("fused", "")),
    )


def from_problem(problem: Mapping[str, Any]) -> Conv2dSpec:
    """The convolution of a `problem` of the algorithms contract, from whatever source.

    Explicit padding that is what SAME or VALID come to is written so. A layout that TensorFlow's ops do not have
    (oneDNN's blocked ones, or none told) becomes NHWC. Raises SpecError, with the reason, for a problem that is no 2-D
    convolution (OtherOpError), whose sizes are not all known, or that is fused with what a spec cannot say.
    """
    op, direction = str(problem.get("op") or "an op not known"), problem.get("direction")
    if direction not in DIRECTIONS or op not in (*OPS.values(), "convolution", "_FusedConv2D"):
        raise OtherOpError(f"{op} {direction or ''}".rstrip() + " is no 2-D convolution")
    if problem.get("mode") == "convolution" or problem.get("flipped"):
        raise SpecError(f"{op}: cuDNN's mode CONVOLUTION flips the filter, which TensorFlow's ops do not")
    x, w = _sizes(op, "input", problem), _sizes(op, "filter", problem)
    layout = str(problem.get("layout") or "")
    last = layout == "NHWC"
    dtype = _ALIASES.get(str(problem.get("dtype")), problem.get("dtype"))
    if dtype not in DTYPES:
        raise SpecError(f"{op}: its data type is {dtype or 'not known'}, not one of {', '.join(DTYPES)}")
    spec = Conv2dSpec(
        input=x if last else (x[0], x[2], x[3], x[1]),
        filter=w,
        strides=_two(op, "strides", problem, last),
        padding=_told_padding(op, problem, last),
        dtype=str(dtype),
        dilations=_two(op, "dilations", problem, last),
        layout="NCHW" if layout == "NCHW" else "NHWC",
        direction=direction,
        fused=_told_fused(op, problem.get("fused") or ()),
    )
    spec = _named_padding(spec)
    if problem.get("groups") not in (None, spec.groups):
        raise SpecError(f"{op}: {problem['groups']} groups, but its sizes make {spec.groups}")
    y = problem.get("output")
    if y and list(y) != _ordered(spec.output, "NHWC" if last else "NCHW"):
        raise SpecError(f"{op}: its output {list(y)} is not what its other sizes give")
    return spec


def _named_padding(spec: Conv2dSpec) -> Conv2dSpec:
    """The same with SAME or VALID where the explicit padding is what that comes to."""
    if isinstance(spec.padding, str):
        return spec
    same = replace(spec, padding="SAME")
    if same.paddings == spec.paddings:
        return same
    return replace(spec, padding="VALID") if spec.paddings == ((0, 0), (0, 0)) else spec


def _ordered(sizes: Four, layout: Layout) -> list[int]:
    n, h, w, c = sizes
    return [n, h, w, c] if layout == "NHWC" else [n, c, h, w]


def _text(numbers: Four | list[int]) -> str:
    return ",".join(map(str, numbers))


def _pair_text(pair: Pair) -> str:
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]},{pair[1]}"


def _numbers(text: str, what: str, part: str, least: int = 1) -> list[int]:
    numbers = []
    for word in part.split(","):
        word = word.strip()
        if not (word.isascii() and word.isdigit() and least <= int(word[:12]) <= _LARGEST):
            raise SpecError(f"{text!r}: {what}: {word!r} is no whole number from {least} to {_LARGEST}")
        numbers.append(int(word))
    return numbers


def _four(text: str, what: str, part: str) -> Four:
    numbers = _numbers(text, what, part)
    if len(numbers) != 4:
        raise SpecError(f"{text!r}: {what} has four sizes, not {len(numbers)}; e.g. {EXAMPLE}")
    return cast(Four, tuple(numbers))


def _pair(text: str, what: str, part: str) -> Pair:
    numbers = _numbers(text, what, part)
    if len(numbers) > 2:
        raise SpecError(f"{text!r}: {what} are one number or two (height, width), not {len(numbers)}")
    return numbers[0], numbers[-1]


def _padding(text: str, part: str) -> Any:
    if part.upper() in ("SAME", "VALID"):
        return part.upper()
    if not part[:1].isdigit():
        raise SpecError(f"{text!r}: the padding {part!r} is not SAME, VALID or numbers of pixels")
    sides = _numbers(text, "the padding", part, least=0)
    if len(sides) not in (1, 2, 4):
        raise SpecError(
            f"{text!r}: the padding is SAME, VALID, one number, two (height, width) or four (top, bottom, left, right)"
        )
    if len(sides) == 4:
        return (sides[0], sides[1]), (sides[2], sides[3])
    return (sides[0], sides[0]), (sides[-1], sides[-1])


def _dtype(text: str, part: str) -> str:
    name = part.strip().lower()
    return _word(text, "the dtype", _ALIASES.get(name, name), DTYPES)


def _word(text: str, what: str, word: str, known: tuple[str, ...]) -> str:
    if word not in known:
        raise SpecError(f"{text!r}: {what} {word!r} is none of {', '.join(known)}")
    return word


def _fused(text: str, part: str) -> tuple[str, ...]:
    names = tuple(name.strip().lower() for name in part.split(",")) if part else ()
    if names and (names[0] != "bias" or len(names) > 2 or any(n not in ACTIVATIONS for n in names[1:])):
        raise SpecError(f"{text!r}: fused={part} is not bias, or bias and one of {', '.join(ACTIVATIONS)}")
    return names


def _sizes(op: str, which: str, problem: Mapping[str, Any]) -> Four:
    sizes = problem.get(which)
    if not isinstance(sizes, (list, tuple)) or not sizes:
        raise SpecError(f"{op}: the sizes of its {which} are not known")
    if len(sizes) != 4:
        raise SpecError(
            f"{op}: its {which} has {len(sizes)} dimensions; only 2-D convolutions (four) can be asked for"
        )
    if not all(isinstance(n, int) and n > 0 for n in sizes):
        raise SpecError(f"{op}: the sizes of its {which}, {list(sizes)}, are not all known")
    return cast(Four, tuple(sizes))


def _two(op: str, which: str, problem: Mapping[str, Any], last: bool) -> Pair:
    """Strides or dilations: of height and width, or of all four dimensions in the order of the layout."""
    told = problem.get(which)
    if told is None and which == "dilations":
        return 1, 1
    if (
        not isinstance(told, (list, tuple))
        or len(told) not in (2, 4)
        or not all(isinstance(n, int) for n in told)
    ):
        raise SpecError(f"{op}: its {which} are not known")
    height, width = told if len(told) == 2 else (told[1:3] if last else told[2:4])
    if height < 1 or width < 1:
        raise SpecError(f"{op}: its {which} {list(told)} are not positive")
    return height, width


def _told_padding(op: str, problem: Mapping[str, Any], last: bool) -> Any:
    told = problem.get("padding")
    if told in ("SAME", "VALID"):
        return told
    if not isinstance(told, (list, tuple)) or len(told) not in (2, 4):
        raise SpecError(
            f"{op}: its padding {told if told is not None else ''}".rstrip() + " is not known in pixels"
        )
    pairs = told if len(told) == 2 else (told[1:3] if last else told[2:4])
    sides = tuple(tuple(pair) for pair in pairs)
    if any(len(pair) != 2 or not all(isinstance(n, int) and n >= 0 for n in pair) for pair in sides):
        raise SpecError(f"{op}: its padding {told} is not known in pixels")
    return sides


def _told_fused(op: str, told: Any) -> tuple[str, ...]:
    """Bias and activation; the side input that TensorFlow's cuDNN graphs add with weight 0 is left out."""
    if not isinstance(told, (list, tuple)):
        raise SpecError(f"{op}: what it is fused with is not known")
    names = fused_names(list(told))
    names = names[1:] if names[:2] == ["add", "bias"] else names
    if names and (names[0] != "bias" or len(names) > 2 or any(n not in ACTIVATIONS for n in names[1:])):
        raise SpecError(
            f"{op}: it is fused with {', '.join(map(str, told))}; a spec knows bias and one activation"
        )
    return tuple(names)
