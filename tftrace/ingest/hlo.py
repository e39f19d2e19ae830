"""HLO modules, as a TensorFlow profile holds them for every program that XLA compiled.

Source: xla/service/hlo.proto and xla/xla_data.proto of TensorFlow 2.12 to 2.21 and JAX of 2025. What is read of them:

    HloProto             := hlo_module = 1
    HloModuleProto       := name = 1, computations = 3
    HloComputationProto  := name = 1, instructions = 2, id = 5
    HloInstructionProto  := name = 1, opcode = 2, metadata = 7, parameter_number = 9, id = 35, operand_ids = 36,
                            called_computation_ids = 38
    OpMetadata           := op_type = 1, op_name = 2

`op_name` is the name of the node that an instruction was made of (TensorFlow), or the path of functions that made it
(JAX). Passes of XLA that make instructions anew do not always keep it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from tftrace.ingest import wire

PROGRAMS_PLANE: Final = "/host:metadata"
"""The plane of a profile that holds the programs, as metadata of events that it does not have."""

_MODULE: Final = 1
_COMPUTATIONS: Final = 3
_INSTRUCTIONS, _COMPUTATION_ID = 2, 5
_NAME, _OPCODE, _METADATA, _PARAMETER, _ID, _OPERANDS, _CALLED = 1, 2, 7, 9, 35, 36, 38
_OP_TYPE, _OP_NAME = 1, 2


@dataclass(frozen=True)
class HloInstruction:
    """One instruction. `operands` are positions in `HloModule.instructions`, `calls` numbers of computations."""

    name: str
    opcode: str
    op_type: str | None
    op_name: str | None
    computation: int
    parameter: int | None  # its number, of a parameter
    operands: tuple[int, ...]
    calls: tuple[int, ...]


@dataclass(frozen=True)
class HloModule:
    name: str
    instructions: list[HloInstruction]


@dataclass(frozen=True)
class XlaProgram:
    """A program that XLA compiled: its number, which events bear as `program_id`, its name, and its HloProto."""

    program_id: int
    name: str
    hlo: bytes


def program_of(key: int, title: str, stats: Mapping[str, object]) -> Iterator[XlaProgram]:
    """The program in an entry of `PROGRAMS_PLANE`, if it holds one.

    title := name "(" number ")"        the number stands in stat `program_id` too, since 2025
    """
    name, _, number = title.removesuffix(")").rpartition("(")
    told = stats.get("program_id", int(number) if number.lstrip("-").isdigit() else key)
    for stat, value in stats.items():
        if stat.lower().replace("_", " ") == "hlo proto" and isinstance(value, bytes):
            yield XlaProgram(int(str(told)), name or title, value)


def read_hlo(data: bytes) -> HloModule:
    """The module of a serialized HloProto. Raises wire.WireError where the bytes are none."""
    buffer, begin, end = wire.buffer_of([data])
    proto = wire.fields(buffer, begin, end)
    begin, end, _ = _blocks(proto, _MODULE)
    if len(begin) != 1:
        raise wire.WireError("no HLO module")
    module = wire.fields(buffer, begin, end)
    name = _texts(buffer, module, _NAME, 1)[0] or ""
    begin, end, _ = _blocks(module, _COMPUTATIONS)
    computations = wire.fields(buffer, begin, end)
    numbers = _numbers(computations, _COMPUTATION_ID, len(begin))
    begin, end, owner = _blocks(computations, _INSTRUCTIONS)
    found = wire.fields(buffer, begin, end)
    n = len(begin)
    names, opcodes = _texts(buffer, found, _NAME, n), _texts(buffer, found, _OPCODE, n)
    ids, parameters = _numbers(found, _ID, n), _numbers(found, _PARAMETER, n)
    operands, called = _repeated(buffer, found, _OPERANDS, n), _repeated(buffer, found, _CALLED, n)
    begin, end, of = _blocks(found, _METADATA)
    metadata = wire.fields(buffer, begin, end)
    types, op_names = (_texts(buffer, metadata, f, len(of)) for f in (_OP_TYPE, _OP_NAME))
    made_of = {int(i): (types[k], op_names[k]) for k, i in enumerate(of.tolist())}
    # ids of instructions are unique in a computation, and in older versions in the module too
    place = {(int(owner[i]), int(ids[i])): i for i in range(n)}
    row = {int(number): at for at, number in enumerate(numbers.tolist())}
    instructions = [
        HloInstruction(
            names[i] or "", opcodes[i] or "", *made_of.get(i, (None, None)), int(owner[i]),
            int(parameters[i]) if opcodes[i] == "parameter" else None,
            tuple(place[owner[i], o] for o in operands[i] if (owner[i], o) in place),
            tuple(row[c] for c in called[i] if c in row),
        )
        for i in range(n)
    ]  # fmt: skip
    return HloModule(name, instructions)


def _blocks(found: wire.Fields, number: int) -> tuple[wire.Int64s, wire.Int64s, wire.Int64s]:
    """(begin, end, owner) of the messages in a field, in the order of their owners."""
    at = found.where(number, wire.LENGTH)
    at = at[np.argsort(found.owner[at], kind="stable")]
    begin = found.value[at].astype(np.int64)
    return begin, begin + found.size[at], found.owner[at]


def _texts(buffer: wire.Bytes, found: wire.Fields, number: int, count: int) -> list[str | None]:
    out: list[str | None] = [None] * count
    begin, end, owner = _blocks(found, number)
    for at, first, last in zip(owner.tolist(), begin.tolist(), end.tolist(), strict=True):
        out[at] = buffer[first:last].tobytes().decode("utf-8", "replace")
    return out


def _numbers(found: wire.Fields, number: int, count: int) -> wire.Int64s:
    out = np.zeros(count, np.int64)
    at = found.where(number, wire.VARINT)
    out[found.owner[at]] = found.value[at].view(np.int64)
    return out


def _repeated(buffer: wire.Bytes, found: wire.Fields, number: int, count: int) -> list[list[int]]:
    """The integers of a repeated field, packed into one block or written one by one."""
    out: list[list[int]] = [[] for _ in range(count)]
    at = found.where(number, wire.VARINT)
    for owner, value in zip(found.owner[at].tolist(), found.value[at].tolist(), strict=True):
        out[owner].append(value)
    begin, end, owner = _blocks(found, number)
    for of, first, last in zip(owner.tolist(), begin.tolist(), end.tolist(), strict=True):
        value = shift = 0
        for byte in buffer[first:last].tolist():
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                out[of].append(value)
                value = shift = 0
        if shift:
            raise wire.WireError("a list of numbers that ends within one")
    return out
