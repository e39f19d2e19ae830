"""The arguments in the records of cuDNN's API log, as a tree.

Grammar of a line, without its prefix; what stands deeper (four blanks a level) belongs to the line above it:

    line     := blanks name ": " property ("; " property)* ";"     a value
              | blanks name ": type=" type ":"                     a descriptor; its fields follow, deeper
              | blanks ("Error" | "Warning") ": " status "; Reason: " text
              | blanks "Info: " text
              | text                                               continues the line above (cuDNN 9.28)
    property := "type=" type | "val=" value | "location=" ("dev" | "host") | "addr=" address | "streamId=" word | ..
    value    := number | "[" numbers "]" | NAME " (" number ")" | true | false | '"' text '"' | NULL_PTR
              | JSON (type=json, cuDNN 9)
    name     := anything without ": ", also empty (": type=bool; val=true;", cuDNN 8.2) or "[0]", "Uid=120"
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

_PREFIX = re.compile(r"(?:[IWEiwe]! ?)|(?:[^\w\s\"\[({]{1,3} ?)|(?:[ \t]+\| ?)")
_LINE = re.compile(r"(?P<blanks>[ \t]*)(?P<name>[^\n]*?): ?(?P<rest>(?:type|location|streamId|val)=.*)")
_NOTE = re.compile(r"[ \t]*(?P<name>Error|Warning|Info): (?P<rest>.*)")
_ENUM = re.compile(r"([A-Za-z_][A-Za-z0-9_]*) \((-?[0-9]+)\)")
_NUMBER = re.compile(r"-?[0-9]{1,19}")
_FLOAT = re.compile(r"-?[0-9]+\.[0-9]+(?:[eE][-+]?[0-9]+)?|-?inf|-?nan")
_MAX_DEPTH: Final = 64


@dataclass(frozen=True)
class Argument:
    """One argument or field. `kind` is its type as written; `text` its value as written, None for a descriptor;
    `properties` what else the line says (`location`, `addr`, `streamId`, ..)."""

    name: str
    kind: str | None = None
    text: str | None = None
    properties: tuple[tuple[str, str], ...] = ()
    fields: tuple[Argument, ...] = ()

    @property
    def value(self) -> Any:
        """int, float, bool, list of ints, the name of an enumerator, text, parsed JSON; None for NULL_PTR."""
        return _value(self.text, self.kind)

    def get(self, *path: str) -> Argument | None:
        """The field at the end of this path of names."""
        return find(self.fields, *path)


def find(arguments: Iterable[Argument], *path: str) -> Argument | None:
    """The argument at the end of this path of names, None where there is none."""
    at: Argument | None = None
    for name in path:
        at = next((a for a in arguments if a.name == name), None)
        if at is None:
            return None
        arguments = at.fields
    return at


def walk(arguments: Iterable[Argument]) -> Iterator[Argument]:
    """Every argument and field, each before its own fields."""
    for argument in arguments:
        yield argument
        yield from walk(argument.fields)


@dataclass
class _Open:
    depth: int
    name: str
    kind: str | None = None
    text: str | None = None
    properties: list[tuple[str, str]] = field(default_factory=list)
    fields: list[_Open] = field(default_factory=list)

    def close(self) -> Argument:
        return Argument(
            self.name, self.kind, self.text, tuple(self.properties), tuple(f.close() for f in self.fields)
        )


def parse_arguments(body: str) -> tuple[Argument, ...]:
    """The arguments of one record's body. Raises nothing: a line that is not understood becomes an argument without
    type, whose text is the line."""
    root = _Open(-1, "")
    stack = [root]
    for line, prefixed in _lines(body):
        if not prefixed:
            _continue(stack, line)
            continue
        blanks = len(line) - len(line.lstrip())
        found = _read(line, blanks)
        while len(stack) > 1 and stack[-1].depth >= blanks:
            stack.pop()
        stack[-1].fields.append(found)
        if len(stack) < _MAX_DEPTH:
            stack.append(found)
    return tuple(f.close() for f in root.fields)


def _lines(body: str) -> Iterator[tuple[str, bool]]:
    """Lines that are not blank, without their prefix, and whether they begin an argument."""
    lines = [line.rstrip("\r") for line in body.split("\n") if line.strip()]
    marked = any(re.match(r"[iweIWE]! ", line) for line in lines)
    for line in lines:
        match = _PREFIX.match(line)
        if match is not None and (not marked or line[1:3] in ("! ", "!")):
            if line[match.end() :].strip():
                yield line[match.end() :], True
        elif line.strip():
            yield line, not marked


def _read(line: str, blanks: int) -> _Open:
    match = _LINE.fullmatch(line)
    if match is None:
        note = _NOTE.fullmatch(line)
        return (
            _Open(blanks, note["name"], None, note["rest"]) if note else _Open(blanks, "", None, line.strip())
        )
    out = _Open(blanks, match["name"].strip())
    rest = match["rest"]
    if rest.startswith("type=") and rest.endswith(":") and "; " not in rest:
        out.kind = rest[5:-1]
        return out
    # a value may hold "; " itself (text, JSON), and is then the last property
    head, marker, value = rest.partition("val=")
    for part in head.split("; "):
        key, equals, text = part.rstrip("; ").partition("=")
        if key == "type" and equals:
            out.kind = text
        elif key:
            out.properties.append((key, text))
    if marker:
        out.text = value.removesuffix(";")
    return out


def _continue(stack: list[_Open], line: str) -> None:
    """Text without prefix: the rest of the line above."""
    last = stack[-1]
    if last.text is None:
        last.text = line.strip()
    else:
        last.text += "\n" + line


def _value(text: str | None, kind: str | None) -> Any:
    if text is None or text == "NULL_PTR":
        return None
    if _NUMBER.fullmatch(text):
        return int(text)
    if text in ("true", "false"):
        return text == "true"
    if match := _ENUM.fullmatch(text):
        return match[1]
    if text.startswith("[") and text.endswith("]"):
        parts = [p.strip() for p in text[1:-1].split(",")] if len(text) > 2 else []
        if all(_NUMBER.fullmatch(p) for p in parts):
            return [int(p) for p in parts]
    if _FLOAT.fullmatch(text):
        return float(text)
    if kind == "json":
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            return text
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] == '"' else text


def as_object(arguments: Iterable[Argument]) -> dict[str, Any]:
    """The tree as a JSON object. A name that stands several times on one level gets the list of its values; a
    descriptor is an object with its type under "type"; unknown fields are there like any other."""
    out: dict[str, Any] = {}
    repeated: set[str] = set()
    for argument in arguments:
        name = argument.name or "(text)"
        value = _plain(argument)
        if name in repeated:
            out[name].append(value)
        elif name in out:
            out[name] = [out[name], value]
            repeated.add(name)
        else:
            out[name] = value
    return out


def _plain(argument: Argument) -> Any:
    if argument.fields or (argument.text is None and argument.kind is not None):
        own = {"type": argument.kind} if argument.kind is not None else {}
        if argument.text is not None:
            own["text"] = argument.text
        return own | dict(argument.properties) | as_object(argument.fields)
    if argument.properties:
        more = {} if argument.text is None else {"val": argument.value}
        return dict(argument.properties) | more
    value = argument.value
    return (
        argument.text
        if isinstance(value, float) and (value != value or abs(value) == float("inf"))
        else value
    )
