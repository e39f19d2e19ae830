"""Made-up HLO programs for tests, written as XLA writes them."""

from __future__ import annotations

from dataclasses import dataclass

from tests.ingest import wire_writer as write


@dataclass(frozen=True)
class Made:
    """One instruction; operands and computations are meant by name."""

    name: str
    opcode: str
    op_name: str | None = None
    operands: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    parameter: int | None = None


def hlo(name: str, packed: bool = True, **computations: list[Made]) -> bytes:
    """A serialized HloProto. Ids begin anew in each computation, as in newer versions of XLA."""
    numbers = {title: 100 + at for at, title in enumerate(computations)}
    body = write.block(1, name)
    for title, rows in computations.items():
        ids = {row.name: at + 1 for at, row in enumerate(rows)}
        computation = write.block(1, title) + write.number(5, numbers[title])
        for row in rows:
            data = write.block(1, row.name) + write.block(2, row.opcode) + write.number(35, ids[row.name])
            if row.op_name is not None:
                data += write.block(7, write.block(1, "Type") + write.block(2, row.op_name))
            if row.parameter:
                data += write.number(9, row.parameter)
            for field, values in (
                (36, [ids[o] for o in row.operands]),
                (38, [numbers[c] for c in row.calls]),
            ):
                if packed and values:
                    data += write.block(field, b"".join(write.varint(v) for v in values))
                else:
                    data += b"".join(write.number(field, v) for v in values)
            computation += write.block(2, data)
        body += write.block(3, computation)
    return write.block(1, body)
