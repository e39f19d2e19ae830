"""Writes the records of calls into cuDNN as the native library does, for the tests of what reads them."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tftrace.agent import contract
from tftrace.ingest.agent_raw import Records
from tftrace.ingest.cudnn import enums as enums
from tftrace.ingest.cudnn.calls import FUNCTIONS

ATTRIBUTES = {name: number for number, name in enums.ATTRIBUTE.items()}
DESCRIPTORS = {name: number for number, name in enums.DESCRIPTOR.items()}
TYPES = {name: number for number, name in enums.ATTRIBUTE_TYPE.items()}
DATA_TYPES = {name: number for number, name in enums.DATA_TYPE.items()}
_CODES = {"INT64": "q", "BACKEND_DESCRIPTOR": "Q", "FLOAT": "f", "DOUBLE": "d", "BOOLEAN": "B", "CHAR": "B"}


@dataclass
class Writer:
    """Calls in the order they are made, one thread, ten ns apart."""

    rows: list[tuple[Any, ...]] = field(default_factory=list)
    data: bytes = b""
    made: int = 0

    def call(self, function: str, number: int = 0, detail: int = 0, **other: int) -> int:
        """Adds a record; returns its number."""
        t = 1000 + 10 * len(self.rows)
        values = {
            "t0": t, "t1": t + 5, "stack": 0, "call": 0, "object": number, "stream": 0, "tid": 7, "own_ns": 0,
            "function": FUNCTIONS.index(function), "flags": 0, "status": 0, "detail": detail,
        }  # fmt: skip
        self.rows.append(tuple((values | other).values()))
        return len(self.rows) - 1

    def keep(
        self, record: int, number: int, kind: int, name: int, code: int, payload: bytes, count: int
    ) -> None:
        head = contract.CUDNN_DATA.struct.pack(record + 1, number, len(payload), kind, name, code, count)
        whole = head + payload
        self.data += whole + b"\0" * (-len(whole) % contract.CUDNN_BLOCK)

    def make(self, kind: str) -> int:
        self.made += 1
        self.call("cudnnBackendCreateDescriptor", self.made, DESCRIPTORS[kind])
        return self.made

    def say(self, number: int, attribute: str, kind: str, *values: Any, got: bool = False) -> None:
        """Sets an attribute, or with `got` lets cuDNN answer for it."""
        function = "cudnnBackendGetAttribute" if got else "cudnnBackendSetAttribute"
        record = self.call(function, number, ATTRIBUTES[attribute])
        payload = struct.pack(f"<{len(values)}{_CODES.get(kind, 'i')}", *values)
        which = contract.CUDNN_GOT if got else contract.CUDNN_SET
        self.keep(record, number, which, ATTRIBUTES[attribute], TYPES[kind], payload, len(values))

    def tensor(self, dims: list[int], strides: list[int], dtype: str = "FLOAT") -> int:
        number = self.make("TENSOR")
        self.say(number, "TENSOR_DATA_TYPE", "DATA_TYPE", DATA_TYPES[dtype])
        self.say(number, "TENSOR_DIMENSIONS", "INT64", *dims)
        self.say(number, "TENSOR_STRIDES", "INT64", *strides)
        return number

    def graph(self, *operations: int) -> int:
        number = self.make("OPERATIONGRAPH")
        self.say(number, "OPERATIONGRAPH_OPS", "BACKEND_DESCRIPTOR", *operations)
        return number

    def plan(self, graph: int, engine: int, knobs: dict[int, int], workspace: int) -> int:
        """An execution plan the way TensorFlow gets one: its configuration comes from a heuristic, and what it is made
        of is learned by asking."""
        heuristic, config = self.make("ENGINEHEUR"), self.make("ENGINECFG")
        self.say(heuristic, "ENGINEHEUR_OPERATION_GRAPH", "BACKEND_DESCRIPTOR", graph)
        self.say(heuristic, "ENGINEHEUR_RESULTS", "BACKEND_DESCRIPTOR", config, got=True)
        plan = self.make("EXECUTION_PLAN")
        self.say(plan, "EXECUTION_PLAN_ENGINE_CONFIG", "BACKEND_DESCRIPTOR", config)
        self.call("cudnnBackendFinalize", plan, DESCRIPTORS["EXECUTION_PLAN"])
        of = self.make("ENGINE")
        self.say(config, "ENGINECFG_ENGINE", "BACKEND_DESCRIPTOR", of, got=True)
        self.say(of, "ENGINE_GLOBAL_INDEX", "INT64", engine, got=True)
        choices = [self.make("KNOB_CHOICE") for _ in knobs]
        self.say(config, "ENGINECFG_KNOB_CHOICES", "BACKEND_DESCRIPTOR", *choices, got=True)
        for choice, (kind, value) in zip(choices, knobs.items(), strict=True):
            self.say(choice, "KNOB_CHOICE_KNOB_TYPE", "KNOB_TYPE", kind, got=True)
            self.say(choice, "KNOB_CHOICE_KNOB_VALUE", "INT64", value, got=True)
        # a copy of the configuration, with which the way back to the graph would be lost
        copy = self.make("ENGINECFG")
        self.say(plan, "EXECUTION_PLAN_ENGINE_CONFIG", "BACKEND_DESCRIPTOR", copy, got=True)
        self.say(plan, "EXECUTION_PLAN_WORKSPACE_SIZE", "INT64", workspace, got=True)
        return plan

    def arguments(self, function: str, number: int, *words: int) -> int:
        """A call of the older API, with what is stored of its arguments."""
        record = self.call(function, number)
        payload = struct.pack(f"<{len(words)}q", *words)
        self.keep(record, number, contract.CUDNN_ARGUMENTS, 0, 0, payload, len(words))
        return record

    def records(self, padding: int = 3) -> Records:
        """Behind the last one lie slots that were never written."""
        dtype = np.dtype(contract.CUDNN.dtype)
        written = np.array(self.rows, dtype)
        return np.concatenate([written, np.zeros(padding, dtype)])
