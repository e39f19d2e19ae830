"""Protocol buffers as text, read without their schema: what TensorFlow and XLA write to logs and autotune files.

Grammar:

    message := ["goo.gle/" ("debugproto" | "debugstr" | "debugonly")] field*
    field   := name (group | ":" value | ":" "[" value ("," value)* "]") [";" | ","]
    group   := [":"] ("{" field* "}" | "<" field* ">")
    name    := identifier | "[" type or extension "]"
    value   := string+ | integer | float | identifier          an identifier is an enumeration's value, true or false
    string  := '"' .. '"' | "'" .. "'"                         with C's escapes; octal and hex ones are bytes of UTF-8

A `#` begins a comment. Spaces between tokens vary from run to run on purpose (TensorFlow's debug strings do that), and
so does the mark in front. A text may be cut anywhere, and something else may follow it: both are told, neither is an
error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

Message = dict[str, list[Any]]
"""Fields by name in the order they first came, each with all its values: int, float, str, bytes, Word or Message."""


class Word(str):
    """A bare word: the name of an enumeration's value, `true`, `false`."""

    __slots__ = ()


@dataclass(frozen=True)
class Parsed:
    """`end` is where the text stopped being a message; `cut` whether it ended inside one."""

    message: Message
    end: int
    cut: bool


_DEPTH: Final = 100
_MARK = re.compile(r"\s*goo\.gle/debug\w*")
_SPACE = re.compile(r"(?:\s+|#[^\n]*)*")
_NAME = re.compile(r"[A-Za-z_]\w{0,200}|\[[\w./% -]{1,400}\]")
_FLOAT = re.compile(
    r"-?(?:\d+\.\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+|inf\b|nan\b)f?", re.ASCII
)
_INT = re.compile(r"-?(?:0[xX][0-9a-fA-F]+|\d{1,40})(?![\w.])", re.ASCII)
_WORD = re.compile(r"-?[A-Za-z_]\w{0,200}")
_STRING = re.compile(r'"((?:[^"\\\n]|\\.)*)"|\'((?:[^\'\\\n]|\\.)*)\'')
_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)", re.DOTALL)
_ESCAPED: Final = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}


def parse(text: str, start: int = 0) -> Parsed:
    """The message that begins at `start`. Raises nothing: see `Parsed` for how far it could be read."""
    mark = _MARK.match(text, start)
    at = mark.end() if mark else start
    top: Message = {}
    open_: list[tuple[Message, str]] = []  # messages around the current one, with the bracket that closes it
    current = top
    end = at
    while True:
        at = _space(text, at)
        if open_ and text[at : at + 1] == open_[-1][1]:
            current = open_.pop()[0]
            at += 1
            if text[at : at + 1] in (";", ","):
                at += 1
            end = at
            continue
        name = _NAME.match(text, at)
        if name is None:
            return Parsed(top, end, bool(open_))
        at = _space(text, name.end())
        colon = text[at : at + 1] == ":"
        if colon:
            at = _space(text, at + 1)
        bracket = text[at : at + 1]
        if bracket and bracket in "{<" and len(open_) < _DEPTH:
            inner: Message = {}
            current.setdefault(name[0], []).append(inner)
            open_.append((current, "}" if bracket == "{" else ">"))
            current = inner
            at += 1
            continue
        values, at = _values(text, at) if colon else ([], at)
        if not values:  # not a field: the text goes on with something else, or is cut
            return Parsed(top, end, bool(open_))
        current.setdefault(name[0], []).extend(values)
        if text[at : at + 1] in (";", ","):
            at += 1
        if not open_:
            end = at


def dump(message: Message, indent: int = 0) -> str:
    """The message as text that `parse` reads back."""
    pad = "  " * indent
    lines = []
    for name, values in message.items():
        for value in values:
            if isinstance(value, dict):
                lines.append(f"{pad}{name} {{\n{dump(value, indent + 1)}{pad}}}\n")
            else:
                lines.append(f"{pad}{name}: {_scalar_text(value)}\n")
    return "".join(lines)


def first(message: Message, *path: str) -> Any:
    """The first value at this path of names, None where there is none."""
    value: Any = message
    for name in path:
        if not isinstance(value, dict) or not value.get(name):
            return None
        value = value[name][0]
    return value


def integer(message: Message, *path: str) -> int | None:
    """The integer at this path, None where there is none."""
    value = first(message, *path)
    return value if isinstance(value, int) else None


def plain(message: Message) -> dict[str, Any]:
    """The message for JSON: single values by themselves, bytes as text."""
    return {
        name: _plain(values[0]) if len(values) == 1 else [_plain(v) for v in values]
        for name, values in message.items()
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return plain(value)
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _values(text: str, at: int) -> tuple[list[Any], int]:
    if text[at : at + 1] != "[":
        value, end = _value(text, at)
        return ([] if value is None else [value]), end
    values: list[Any] = []
    at = _space(text, at + 1)
    while text[at : at + 1] not in ("]", ""):
        value, end = _value(text, at)
        if value is None:
            return [], at
        values.append(value)
        at = _space(text, end)
        if text[at : at + 1] == ",":
            at = _space(text, at + 1)
    return (values, at + 1) if text[at : at + 1] == "]" else ([], at)


def _value(text: str, at: int) -> tuple[Any, int]:
    if match := _FLOAT.match(text, at):
        return float(match[0].rstrip("f") if not match[0].endswith("inf") else match[0]), match.end()
    if match := _INT.match(text, at):
        return int(match[0], 16 if "x" in match[0].lower() else 10), match.end()
    if match := _WORD.match(text, at):
        return Word(match[0]), match.end()
    parts: list[bytes] = []
    while match := _STRING.match(text, at):
        body = match[1] if match[1] is not None else match[2]
        parts.append(_ESCAPE.sub(_unescaped, body.encode("utf-8", "surrogatepass")))
        end = match.end()
        at = _space(text, end)
    if not parts:
        return None, at
    whole = b"".join(parts)
    try:
        return whole.decode("utf-8"), end
    except UnicodeDecodeError:
        return whole, end


def _unescaped(match: re.Match[bytes]) -> bytes:
    what = match[1]
    if what[:1] == b"x" and len(what) > 1:
        return bytes([int(what[1:], 16)])
    if what.isdigit():
        return bytes([int(what, 8) & 255])
    return _ESCAPED.get(what, what)


def _scalar_text(value: Any) -> str:
    if isinstance(value, Word):
        return str(value)
    if isinstance(value, str | bytes):
        data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
        return (
            '"' + "".join(chr(b) if 32 <= b < 127 and b not in (34, 92) else f"\\{b:03o}" for b in data) + '"'
        )
    return repr(value)
