"""Protobuf messages declared in Python, for formats of which a few messages are needed and no package brings them.

The descriptors live in a pool of their own, so they never meet TensorFlow's or anybody else's of the same name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Field = descriptor_pb2.FieldDescriptorProto
INT32: Final = _Field.TYPE_INT32
INT64: Final = _Field.TYPE_INT64
UINT32: Final = _Field.TYPE_UINT32
UINT64: Final = _Field.TYPE_UINT64
FIXED64: Final = _Field.TYPE_FIXED64
STRING: Final = _Field.TYPE_STRING
BYTES: Final = _Field.TYPE_BYTES
DOUBLE: Final = _Field.TYPE_DOUBLE

Declared = dict[str, list[tuple[str, int, int | str, bool]]]
"""Message -> its fields: name, number, type or the message's name, whether repeated."""


def message_class(
    package: str,
    messages: Declared,
    name: str,
    one_of: Mapping[str, tuple[str, frozenset[int]]] | None = None,
) -> Any:
    """The class of the message `name` among `messages`, encoded and decoded by protobuf's own runtime.

    `one_of`: of which fields (numbers) of a message only one is set at a time, and what this choice is called.
    """
    choices = one_of or {}
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    for message_name, fields in messages.items():
        message = file.message_type.add(name=message_name)
        for field, number, kind, repeated in fields:
            added = message.field.add(
                name=field,
                number=number,
                label=_Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL,
                type=_Field.TYPE_MESSAGE if isinstance(kind, str) else kind,
                type_name=f".{package}.{kind}" if isinstance(kind, str) else None,
            )
            if number in choices.get(message_name, ("", frozenset()))[1]:
                added.oneof_index = 0
        if message_name in choices:
            message.oneof_decl.add(name=choices[message_name][0])
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
