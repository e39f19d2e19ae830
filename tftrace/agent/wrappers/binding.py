"""Ways to call a native function so that it does what a recorded call did: with the same arguments, by the names of
its parameters, with the inputs and attributes of the recorded op, or as the wrapper itself was seen to call it.

Which of them is right is found out by calling: what counts is that the same op calls come out.
"""

import inspect
from typing import Any, Dict, Iterator, List, Optional, Tuple

from .calls import OpCall, definition_of, inferred

Binding = Tuple[str, Tuple[Any, ...], Dict[str, Any]]

SAME = (
    {"x", "input", "inputs", "a", "tensor", "input_tensor", "value", "features", "logits", "t", "params", "image",
     "images", "data", "reference", "values", "tensors", "elems", "ref", "predictions", "m", "array", "arr"},
    {"kernel", "filters", "filter", "depthwise_kernel", "depthwise_filter"},
    {"y", "b", "other", "x2", "new_x", "increment", "decrement"},
    {"axis", "axes", "dim", "dimension", "reduction_indices"},
    {"perm", "pattern", "axes"},
    {"keepdims", "keep_dims"},
    {"n", "multiples", "repeats"},
    {"pool_size", "ksize"},
    {"strides", "stride"},
    {"dilation_rate", "dilations", "rate", "dilation"},
    {"num_classes", "depth"},
    {"min_value", "clip_value_min", "x_min", "min"},
    {"max_value", "clip_value_max", "x_max", "max"},
    {"target", "labels", "targets", "y_true"},
    {"output", "logits", "predictions", "y_pred"},
    {"var", "variance"},
    {"gamma", "scale"},
    {"beta", "offset"},
    {"epsilon", "variance_epsilon"},
    {"level", "rate"},
    {"size", "num_rows", "N"},
    {"dtype", "DstT", "out_type", "output_type", "type"},
    {"seed", "seed2"},
    {"shape", "output_shape", "dims", "size"},
    {"condition", "cond", "pred"},
    {"then_expression", "x1"},
    {"padding", "paddings"},
)  # fmt: skip


def synonyms(name: str) -> List[str]:
    found = [name]
    for group in SAME:
        if name in group:
            found += sorted(group - {name})
    return found


def parameters_of(function: Any) -> Optional[List[inspect.Parameter]]:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None
    return [p for p in parameters if p.kind is not inspect.Parameter.VAR_KEYWORD]


def named_arguments(function: Any, args: Tuple[Any, ...], keywords: Dict[str, Any]) -> Dict[str, Any]:
    try:
        return dict(inspect.signature(function).bind(*args, **keywords).arguments)
    except (TypeError, ValueError):
        return dict(keywords)


def is_tensor(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return bool(value) and all(is_tensor(v) for v in value)
    return hasattr(value, "dtype") and hasattr(value, "shape")


def by_name(native: Any, given: Dict[str, Any], calls: List[OpCall]) -> Optional[Dict[str, Any]]:
    """Arguments for `native` from those given to the wrapper, what is missing from the attributes of the ops."""
    parameters = parameters_of(native)
    if parameters is None:
        return None
    result: Dict[str, Any] = {}
    rest = dict(given)
    for p in parameters:
        for name in synonyms(p.name):
            if name in rest:
                result[p.name] = rest.pop(name)
                break
    spare = [name for name, value in rest.items() if is_tensor(value)]
    for p in parameters:
        if p.name in result or p.kind is inspect.Parameter.VAR_POSITIONAL:
            continue
        attribute = next(filter(None, (_attribute(p.name, call) for call in calls)), None)
        if attribute is not None:
            result[p.name] = attribute[0]
        elif p.default is inspect.Parameter.empty:
            if not spare:
                return None
            result[p.name] = rest.pop(spare.pop(0))
    return result


def per_axis_as_one(keywords: Dict[str, Any]) -> Optional[Dict[str, Any]]:
    """[1, 2, 2, 1] as 2 where that is the same; None where nothing changes."""
    result = dict(keywords)
    for name, value in keywords.items():
        inner = value[1:-1] if isinstance(value, (list, tuple)) and len(value) > 2 else []
        if inner and all(isinstance(v, int) for v in value) and len(set(inner)) == 1:
            result[name] = inner[0]
    return result if any(result[n] is not keywords[n] for n in result) else None


def _attribute(name: str, call: OpCall) -> Optional[List[Any]]:
    """The op's attribute of that name or a synonym, in a list; None where there is none."""
    skip = inferred(definition_of(call.op)) if definition_of(call.op) is not None else frozenset()
    for other in synonyms(name):
        if other in call.attrs and other not in skip:
            value = call.attrs[other]
            if other == "explicit_paddings" or (isinstance(value, str) and value.startswith("<")):
                continue
            given = call.raw_attrs.get(other, value)
            return [value if isinstance(given, bytes) else given]  # a graph gives words as bytes
    return None


def by_op(native: Any, call: OpCall) -> Optional[Dict[str, Any]]:
    """Arguments for `native` from the inputs and attributes of one op call."""
    definition, parameters = definition_of(call.op), parameters_of(native)
    if definition is None or parameters is None:
        return None
    result: Dict[str, Any] = {}
    inputs = dict(zip([a.name for a in definition.input_arg], call.raw_inputs))
    names = {p.name for p in parameters}
    for name in list(inputs):
        for other in synonyms(name):
            if other in names and other not in result and (other == name or name not in names):
                if other == name:
                    result[other] = inputs.pop(name)
                break
    left = list(inputs)
    for p in parameters:
        if p.name in result or p.name == "name" or p.kind is inspect.Parameter.VAR_POSITIONAL:
            continue
        attribute = _attribute(p.name, call)
        if attribute is not None and not (left and p.default is inspect.Parameter.empty and not attribute):
            result[p.name] = attribute[0]
        elif left and not _only_attribute(p):
            result[p.name] = inputs.pop(left.pop(0))
        elif p.default is inspect.Parameter.empty:
            return None
    return None if left else result


def _only_attribute(p: inspect.Parameter) -> bool:
    """Whether a parameter can hardly stand for a tensor: flags and words."""
    return isinstance(p.default, (bool, str)) or p.name in (
        "name",
        "dtype",
        "data_format",
        "validate_indices",
    )


def observed(call: OpCall) -> Optional[Dict[str, Any]]:
    """What the native function on the stack had in its parameters when it returned."""
    frame = call.frame
    if frame is None:
        return None
    code = frame.f_code
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    values = frame.f_locals
    return {n: values[n] for n in names if n in values and n not in ("name", "self", "cls")}


def bindings(native: Any, calls: List[OpCall], fresh: Any, wrapper: Any, on_stack: bool) -> Iterator[Binding]:
    """What to try for one native function, the plainest first. `fresh()` makes the wrapper's arguments anew; None
    where the calls are a part of what the wrapper does, so that its arguments tell nothing."""
    if fresh is not None:
        args, keywords = fresh()
        yield "same arguments", args, keywords
        named = by_name(native, named_arguments(wrapper, *fresh()), calls)
        if named is not None:
            yield "same arguments by name", (), named
            one = per_axis_as_one(named)
            if one is not None:
                yield "same arguments by name, one number for all axes", (), one
    if on_stack and calls:
        seen = observed(calls[0])
        if seen is not None:
            yield "as it was called", (), seen
    if len(calls) == 1:
        named = by_op(native, calls[0])
        if named is not None:
            yield "inputs and attributes of the op", (), named
