"""C++ function names for reading: `tensorflow::MklConvOp<..>::Compute(tensorflow::OpKernelContext*)` is
`tensorflow::MklConvOp::Compute`."""

from __future__ import annotations

import re
from functools import lru_cache

_THUNK = re.compile(r"^(?:(?:non-virtual|virtual|covariant return) thunk to )+")
_CLONE = re.compile(r" \[clone [^\]]*\]")
_C_CLONE = re.compile(r"(?<=[\w$])\.(?:part|isra|constprop|cold|lto_priv|llvm|warm|hot)\b[.\w]*$")
_QUALIFIER = re.compile(r" ?(?:const|volatile|noexcept|&&?)(?![\w])")
_OPERATOR = re.compile(
    r"operator(?![\w])(?P<symbol>\(\)|\[\]|<=>|->\*|->|<<=|>>=|<<|>>|<=|>=|==|!=|&&|\|\||\+\+|--|[-+*/%^&|]=|[-+*/%^&|~!=<>,]"
    r"| new\[\]| new\b| delete\[\]| delete\b| co_await\b|\"\" ?\w+)?"
)
_UNNAMED = re.compile(r"\$_\d+")  # a lambda, as clang numbers it
_CLANG_LAMBDA = re.compile(r"'(?P<kind>lambda|unnamed)\d*'")
_ANONYMOUS = "(anonymous namespace)"
_BRACKET = re.compile(r"[()\[\]{}<]|(?<!-)>|(?<![\w$])operator(?!\w)")
_HELD = "\0"  # a space inside a name, such as that of `operator bool`

# Functions whose only work is to call the object they were made for -> which template argument is that
# object.
_INVOKERS = (
    (re.compile(r"^std::(?:__\w+::)?_Function_handler<.*>::_M_invoke\b", re.S), 1),
    (re.compile(r"^std::(?:__\w+::)?__invoke_impl<", re.S), 1),
    (re.compile(r"^std::(?:__\w+::)?(?:__invoke_r|invoke_r)<", re.S), 1),
    (re.compile(r"^std::(?:__\w+::)?(?:__invoke|invoke)<", re.S), 0),
    (re.compile(r"^std::__\w+::__function::__func<.*>::operator\(\)", re.S), 0),
    (re.compile(r"^absl::(?:lts_\d+::)?internal_any_invocable::(?:Local|Remote)Invoker<", re.S), 2),
    (re.compile(r"^absl::(?:lts_\d+::)?internal_any_invocable::InvokeR<", re.S), 1),
    (re.compile(r"^absl::(?:lts_\d+::)?functional_internal::Invoke(?:Object|Function)<", re.S), 0),
)
_DEEPEST = 8


@lru_cache(maxsize=1 << 16)
def short_name(demangled: str) -> str:
    """A readable name of a C++ function: no return type, template arguments, parameters, or qualifiers.

    Lambdas stay ("f::{lambda}::operator()"), so do operators and "(anonymous namespace)". The call of a
    stored function object ("std::_Function_handler<void (), F>::_M_invoke(..)") is named by the object:
    "F::operator()". A name that is not C++ comes back as it is.
    """
    return _shorten(demangled, _DEEPEST)


def _shorten(name: str, depth: int) -> str:
    if name.startswith("_Z"):
        return name  # not demangled: taking it apart would need a demangler
    name = _C_CLONE.sub("", _CLONE.sub("", _THUNK.sub("", name)).strip())
    called = _invoked(name) if depth else None
    if called is not None:
        inner = _shorten(called, depth - 1)
        return inner if inner.endswith("::operator()") else f"{inner}::operator()"
    return _simplified(name) or name


def _simplified(name: str) -> str:
    out: list[str] = []
    at, end = 0, len(name)
    while at < end:
        char = name[at]
        if char == "(":
            if name.startswith(_ANONYMOUS, at):
                out.append(_ANONYMOUS.replace(" ", _HELD))
                at += len(_ANONYMOUS)
                continue
            at = _closing(name, at)
            while match := _QUALIFIER.match(name, at):
                at = match.end()
        elif char == "<" or char == "[":
            at = _closing(name, at)
        elif char == "{":
            close = _closing(name, at)
            out.append("{lambda}" if name.startswith("{lambda", at) else name[at:close].replace(" ", _HELD))
            at = close
        elif char == "o" and (at == 0 or not _word(name[at - 1])) and (match := _OPERATOR.match(name, at)):
            at = _operator(name, match, out)
        elif char == "$" and (match := _UNNAMED.match(name, at)):
            out.append("{lambda}")
            at = match.end()
        elif char == "'" and (match := _CLANG_LAMBDA.match(name, at)):
            out.append("{" + match["kind"] + "}")
            at = match.end()
        else:
            out.append(char)
            at += 1
    # What stands before the last space is the return type.
    return "".join(out).strip().rpartition(" ")[2].replace(_HELD, " ")


def _operator(name: str, match: re.Match[str], out: list[str]) -> int:
    """Append an operator's name; returns where it ends."""
    symbol = match["symbol"]
    if symbol is not None:
        out.append(f"operator{symbol}".replace(" ", _HELD))
        return match.end()
    # A conversion: its name is the type, up to the (empty) parameter list.
    at = match.end()
    while at < len(name) and name[at] != "(":
        at = _closing(name, at) if name[at] == "<" else at + 1
    kind = _simplified_type(name[match.end() : at])
    out.append(f"operator{_HELD}{kind}" if kind else "operator")
    return at


def _simplified_type(text: str) -> str:
    out: list[str] = []
    at = 0
    while at < len(text):
        if text[at] == "<":
            at = _closing(text, at)
        else:
            out.append(text[at])
            at += 1
    return "".join(out).strip().replace(" ", _HELD)


_CLOSES = {"(": ")", "<": ">", "[": "]", "{": "}"}


def _closing(name: str, at: int) -> int:
    """The position behind the bracket that closes the one at `at`; the end where none does."""
    stack = [_CLOSES[name[at]]]
    at += 1
    while match := _BRACKET.search(name, at):
        char, at = match[0], match.end()
        if char == "operator":
            if (operator := _OPERATOR.match(name, match.start())) and operator["symbol"]:
                at = operator.end()
        elif char == stack[-1]:
            stack.pop()
        elif char == "<" and stack[-1] == ")" and not _word(name[at - 2]):
            continue  # a comparison in an expression, `(a <b)`
        elif char in _CLOSES:
            stack.append(_CLOSES[char])
        elif char != ">" and char in stack:
            while stack.pop() != char:  # a comparison within these brackets left its `<` open
                pass
        if not stack:
            return at
    return len(name)


def _invoked(name: str) -> str | None:
    """Type of the function object that an invoker calls, None where `name` is no invoker of an object."""
    if not any(word in name for word in ("invoke", "Invoke", "__func")):
        return None
    for candidate in _starts(name):
        text = name[candidate:]
        for pattern, position in _INVOKERS:
            if pattern.match(text):
                arguments = _arguments(text)
                if position >= len(arguments):
                    return None
                kind = arguments[position].strip().removesuffix("&&").removesuffix("&").removesuffix(" const")
                # Of a pointer to a function only the type is known here: the invoker's own name says as much.
                return None if "(*" in kind or kind.endswith((")", "*")) else kind
    return None


def _starts(name: str) -> list[int]:
    """Where the qualified name may begin: at once, or behind a return type."""
    at, end, starts = 0, len(name), [0]
    while at < end and name[at] != "(":
        if name[at] in "<[{":
            at = _closing(name, at)
            continue
        if name[at] == " ":
            starts.append(at + 1)
        at += 1
    return starts


def _arguments(text: str) -> list[str]:
    """Template arguments of the first template in the text."""
    begin = text.find("<")
    close = _closing(text, begin) - 1
    arguments, at, last = [], begin + 1, begin + 1
    while at < close:
        if text[at] in "<([{":
            at = _closing(text, at)
            continue
        if text[at] == ",":
            arguments.append(text[last:at])
            last = at + 1
        at += 1
    return [*arguments, text[last:close]]


def _word(char: str) -> bool:
    return char.isalnum() or char == "_" or char == "$"
