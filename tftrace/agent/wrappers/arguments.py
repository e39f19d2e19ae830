"""Arguments that fit a signature: by the names of its parameters, over several shapes and dtypes.

Where names do not tell, `recipes` has the arguments. Only what a function requires is given: the rest keeps its
defaults, so that what is traced is the plain call.
"""

import inspect
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

from .making import Arguments, Make
from .parameters import RULES, TENSORS


class Template(NamedTuple):
    """What the tensors that the generic rules make look like."""

    shape: Callable[[int], Tuple[int, ...]]
    dtype: str


def _fixed(*shape: int) -> Callable[[int], Tuple[int, ...]]:
    return lambda n: shape


MATRIX = Template(lambda n: (n, 3), "float32")
IMAGES = Template(lambda n: (n, 8, 8, 3), "float32")
FILTERS = ("filters", "filter", "kernel")
"""Beside one of these the other tensors are images: TensorFlow ends the process where it convolves a matrix."""
TEMPLATES: Tuple[Template, ...] = (
    MATRIX,
    IMAGES,
    Template(_fixed(4), "float32"),
    Template(lambda n: (n, 4, 3), "float32"),
    Template(lambda n: (n, 3, 3), "float32"),
    Template(lambda n: (n, 3), "int32"),
    Template(_fixed(4), "int32"),
    Template(lambda n: (n, 3), "bool"),
    Template(lambda n: (n, 3), "complex64"),
    Template(lambda n: (n, 3, 3), "complex64"),
    Template(lambda n: (n, 4, 4, 4, 3), "float32"),
    Template(_fixed(), "float32"),
    Template(_fixed(), "int32"),
    Template(_fixed(2), "string"),
    Template(_fixed(), "string"),
    Template(lambda n: (n, 8, 8, 3), "uint8"),
    Template(lambda n: (8, 8, 3), "uint8"),
)
# once a template has worked: the same shape in other dtypes, and with another batch
VARIATIONS: Tuple[Tuple[str, int], ...] = (("float64", 3), ("int32", 3), ("bool", 3))
# .. and one that tells functions apart which real numbers do not: transpose and adjoint
STRICTER = (*VARIATIONS, ("complex64", 2))


def required(function: Any, also_none: bool) -> Optional[List[inspect.Parameter]]:
    """The parameters that have to be given, None where the signature is not known; with `also_none` those too that
    default to None but are tensors by their name."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None
    kinds = (inspect.Parameter.VAR_KEYWORD,)
    return [
        p
        for p in parameters
        if p.kind not in kinds
        and (p.default is inspect.Parameter.empty or (also_none and p.default is None and p.name in TENSORS))
    ]


def by_signature(parameters: List[inspect.Parameter], make: Make) -> Optional[Arguments]:
    """Arguments for these parameters, None where one of them is not understood."""
    args: List[Any] = []
    keywords: Dict[str, Any] = {}
    for parameter in parameters:
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            args += [make.x(*make.shape), make.x(*make.shape)]
            continue
        value = by_name(parameter.name, make)
        if value is None:
            return None
        by_keyword = parameter.kind is inspect.Parameter.KEYWORD_ONLY or keywords
        if by_keyword or parameter.default is not inspect.Parameter.empty:
            keywords[parameter.name] = value
        else:
            args.append(value)
    return tuple(args), keywords


def by_name(name: str, make: Make) -> Any:
    rule = RULES.get(name)
    if rule is not None:
        return rule(make)
    if name in TENSORS or name.rstrip("0123456789_") in TENSORS:
        return make.x(*make.shape)
    return None


def attempts(
    function: Any, recipe: Any, graph: bool
) -> Iterator[Tuple[Callable[[Make], Optional[Arguments]], Make]]:
    """(builder, maker): what to try, in order, until one call succeeds."""
    if recipe is not None:
        for one in recipe if isinstance(recipe, (list, tuple)) else [recipe]:
            for dtype in ("float32", "int32"):
                yield one, Make(dtype, graph=graph)
        return
    for also_none in (False, True):
        parameters = required(function, also_none)
        if parameters is None:
            return
        if also_none and len(parameters) == len(required(function, False) or []):
            return

        def build(make: Make, parameters: List[inspect.Parameter] = parameters) -> Optional[Arguments]:
            return by_signature(parameters, make)

        filters = any(p.name in FILTERS for p in parameters)
        for template in (IMAGES, *TEMPLATES) if filters else TEMPLATES:
            make = Make(template.dtype, graph=graph)
            make.shape = template.shape(make.n)
            yield build, make
            if not parameters:
                return


def varied(make: Make, variations: Tuple[Tuple[str, int], ...] = VARIATIONS) -> Iterator[Make]:
    """Makers of the other dtypes and another batch, after `make` has worked."""
    for dtype, n in variations:
        other = Make(dtype, n, make.graph)
        other.shape = (n, *make.shape[1:]) if len(make.shape) > 1 else make.shape
        if dtype != make.dtype:
            yield other
