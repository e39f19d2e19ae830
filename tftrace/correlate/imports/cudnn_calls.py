"""Which records of a cuDNN log are one call: its begin, its end, and the warnings and errors that it made."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from tftrace.correlate.tables.columns import NONE, Array, Int, numbered
from tftrace.correlate.tables.scratch import Kept, in_order, merged
from tftrace.ingest.cudnn.problem import Meaning
from tftrace.ingest.cudnn.records import ROWS, CudnnLog
from tftrace.store.pages import Pages

_BEGINS, _ENDS, _TELLS = range(3)
"""What a record is: a call begins with it; it ends one; it is a message of one."""
_PAIRS: Final = ("call", "record")


@dataclass(frozen=True)
class Calls:
    """`begins` says of each record whether a call begins with it, and `end` which record ends that call, NONE for none.
    `told` are the pairs of a call (its first record) and a record with a message of it, in that order."""

    begins: Array
    end: Array
    told: tuple[Array, Array]

    def messages(self, first: int, last: int) -> list[tuple[int, list[int]]]:
        """The calls that begin with a record from `first` to before `last` and have messages, with these."""
        call, record = self.told
        some = slice(*np.searchsorted(call, (first, last)).tolist())
        found: dict[int, list[int]] = {}
        for one, message in zip(call[some].tolist(), record[some].tolist(), strict=True):
            found.setdefault(one, []).append(message)
        return list(found.items())


def find_calls(log: CudnnLog, meanings: list[Meaning], pages: Pages) -> Calls:
    """Goes over the records of each thread and function, in their order.

        record                          call  is
        cudnnBackendFinalize entry      0     its begin
        cudnnBackendFinalize status     0     its end
        cudnnBackendFinalize W!         0     a message
        cudnnBackendExecute entry       1     its begin
        cudnnBackendExecute status      1     its end
        cudnnBackendExecute status      2     its begin: that of the entry is lost

    A record whose function is not known is a call of its own.
    """
    ends = np.array([m.status is not None and not m.messages for m in meanings], np.bool_)
    complains = np.array([bool(m.messages) for m in meanings], np.bool_)
    threads = log.threads
    begins, end = pages.filled(np.bool_, len(log), 0), pages.filled(np.int64, len(log), NONE)
    pairs, edges = (pages.column(np.int64), pages.column(np.int64)), [0]
    open_ = _Open.none()
    for some in log.slices():
        function, level, body = log.function[some], log.level[some], log.body[some]
        known = np.flatnonzero(function != NONE)
        record = known + some.start
        thread = threads[log.context[some][known]]
        tells = (level > 0) | ((level == NONE) & complains[body])
        role, call, open_ = _joined(
            thread * len(log.functions) + function[known], record, ends[body[known]], tells[known], open_
        )
        begun = np.ones(len(function), np.bool_)
        begun[known] = role == _BEGINS
        begins[some] = begun
        ended = role == _ENDS
        end[call[ended]] = record[ended]
        told = np.flatnonzero(role == _TELLS)
        told = told[in_order(call[told], record[told])]
        for column, values in zip(pairs, (call[told], record[told]), strict=True):
            column.add(values)
        edges.append(edges[-1] + len(told))
        pages.give_back()
    return Calls(begins, end, _sorted(pairs[0].array(), pairs[1].array(), edges, pages))


@dataclass(frozen=True)
class _Open:
    """The latest call of each thread and function (`key`): its first record, and whether it has ended."""

    key: Int
    call: Int
    ended: Int

    @staticmethod
    def none() -> _Open:
        return _Open(*(np.empty(0, np.int64) for _ in range(3)))


def _joined(key: Int, record: Int, ends: Array, tells: Array, open_: _Open) -> tuple[Int, Int, _Open]:
    """What each record is, the call it belongs to, and which calls are open behind all of them.

    Whether a call has ended is one bit, and a record leaves it, sets it, clears it or turns it round: one that may end
    a call ends it where it has not ended, and begins the next one where it has. So the bit is what the last record that
    set it said, turned round as often as was told since.
    """
    n = len(open_.key)
    of = numbered(np.concatenate([open_.key, key]))
    order = np.argsort(of, kind="stable")  # those open come first
    of, at = of[order], np.arange(len(of))
    first = np.append(True, of[1:] != of[:-1])[: len(of)]
    is_open = order < n
    may_end = np.concatenate([np.zeros(n, np.bool_), ends])[order]
    may_tell = np.concatenate([np.zeros(n, np.bool_), tells])[order]
    # set to 1 where both are possible: what does not end a call is a message of one that has ended
    sets = first | is_open | (may_end == may_tell)
    value = (may_end & may_tell).astype(np.int64)
    value[first] = 0
    value[is_open] = open_.ended[order[is_open]]
    latest = np.maximum.accumulate(np.where(sets, at, 0))
    turned = np.cumsum(may_end & ~sets)
    ended = (value[latest] + turned - turned[latest]) & 1
    before = np.where(first, 0, np.append(0, ended[:-1])[: len(of)])
    fresh = first | (~may_end & ~may_tell) | (may_end & ~may_tell & (before == 1))
    role = np.where(fresh, _BEGINS, np.where(may_end & (before == 0), _ENDS, _TELLS))
    records = np.concatenate([open_.call, record])[order]
    begun = fresh | is_open
    call = records[np.maximum.accumulate(np.where(begun, at, 0))]
    last = np.append(first[1:], True)[: len(of)]
    keys = np.concatenate([open_.key, key])[order]
    still = _Open(keys[last], call[last], ended[last])
    roles, calls = np.empty(len(of), np.int64), np.empty(len(of), np.int64)
    roles[order], calls[order] = role, call
    return roles[n:], calls[n:], still


def _sorted(call: Array, record: Array, edges: list[int], pages: Pages) -> tuple[Array, Array]:
    """The pairs in order; from one edge to the next they are."""
    chunks = [{"call": Kept(call[a:b]), "record": Kept(record[a:b])} for a, b in pairwise(edges)]
    columns = pages.column(np.int64), pages.column(np.int64)
    for part in merged(chunks, "call", "record", _PAIRS, ROWS):
        for name, column in zip(_PAIRS, columns, strict=True):
            column.add(part[name])
        pages.give_back()
    return columns[0].array(), columns[1].array()
