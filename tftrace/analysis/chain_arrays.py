"""Everything that concerns the calls of a `why` as arrays: grades, times and names of each group's layers."""

from __future__ import annotations

from typing import Final

import numpy as np

from tftrace.analysis import evidence
from tftrace.analysis.attributes import attributes
from tftrace.analysis.columns import Ints, counted, numbers, positions, sorting, table, texts
from tftrace.analysis.device_work import device_work
from tftrace.analysis.graph_runs import GraphsMade
from tftrace.analysis.grouping import Groups, Runs, group, library_calls, runs, telling
from tftrace.analysis.picked import Picked
from tftrace.model.layers import EVIDENCE, LAYERS
from tftrace.model.trace import Trace

NAMES = 16
"""Names of one layer that an entry lists."""
_SITE_TEXTS: Final = (
    "op", "api", "gen_op", "gen_op_file", "python_file", "python_code", "callers", "mode", "graph", "node",
)  # fmt: skip
_OF_CALLS: Final = (
    "site_id", "device", "shapes", "dtypes", "op_attrs", "warm_up", "session_id", "total_ns", "cpu_ns",
    *(f"{layer}_{part}_ns" for layer in LAYERS for part in ("total", "self")),
)  # fmt: skip


class Arrays:
    """Of the calls in the rows `chosen` of the calls table, by group."""

    def __init__(self, trace: Trace, chosen: Ints) -> None:
        self.trace, self.chosen = trace, chosen
        self.calls, self.sites, self.events = (table(trace, n) for n in ("calls", "sites", "events"))
        self.ranks = evidence.layer_ranks(trace)
        self.members = evidence.members(trace, chosen, self.ranks)
        library, device = (
            self.members.event[self.members.layer == LAYERS.index(layer)] for layer in ("library", "device")
        )
        self.links, self._link = evidence.links_from_above(trace, self.ranks, self.members.event)
        self._read()
        # parts are read on all cores: two tables at once would only take each other's room in the caches
        said = attributes(trace, library, device)
        self._trial = said.trial
        self.grouped: Groups = group(trace, self.of_calls, self.members, self.names, self._probes, said)
        self.group_of = self.grouped.of
        self.counts = np.bincount(self.group_of, minlength=self.grouped.count)
        self._grade_layers()
        self._sum_times()
        self._name_layers()
        self._order_members()
        self._count_sessions()
        self.library_calls = library_calls(self.grouped, self.members, self.durations)

    # -- arrays

    def _read(self) -> None:
        """What is asked of the sites, of the calls, and of the members, few of which are a large trace's events."""
        self.runs: Runs = runs(self.trace, self.chosen)
        self.of_calls = Picked(self.trace, "calls", _OF_CALLS, self.chosen, 1 << 17)
        self.site = positions(self.sites, "site_id", self.of_calls.numbers("site_id"))
        self.text = {c: texts(self.sites, c) for c in _SITE_TEXTS}
        self.lines = {
            c: numbers(self.sites, c)
            for c in ("python_line", "gen_op_line", "site_id", "graph_id", "stack_id")
        }
        self.graphs = GraphsMade(self.trace)
        picked = Picked(self.trace, "events", ("name", "dur_ns", "stack_id", "probe"), self.members.event)
        self.names, self.stack_of = picked.texts("name"), picked.numbers("stack_id")
        self.durations, self._probes = picked.numbers("dur_ns").values, picked.texts("probe")

    def _grade_layers(self) -> None:
        mode = self.text["mode"]
        in_eager = mode.where(np.array([m == "eager" for m in mode.values], np.bool_))
        # a line that runs a graph is no node: its runtime entry is linked as in eager mode
        direct = np.append(in_eager | (self.text["node"].codes < 0), True)[self.site]
        known = {
            "python": (self.text["python_file"].codes >= 0) & self.lines["python_line"].valid,
            "api": self.text["api"].codes >= 0,
            "gen_op": self.text["gen_op"].codes >= 0,
        }
        has = {layer: np.append(mask, False)[self.site] for layer, mask in known.items()}
        telling_ones = telling(self.members, self.grouped, len(self.chosen))
        codes = evidence.grades(
            self.members, self._link, telling_ones, self.links, direct, has, self.runs.parent >= 0
        )
        # (group, layer): code -> calls
        width = len(EVIDENCE) * self.links.span + 1
        self.cells: dict[tuple[int, int], dict[int, int]] = {}
        for layer, of_calls in enumerate(codes):
            if (of_calls == of_calls[:1]).all():  # as most layers are
                cells = [(g * width + int(of_calls[0]) + 1, int(n)) for g, n in enumerate(self.counts)]
            else:
                found, times = counted(self.group_of * width + of_calls + 1, self.grouped.count * width)
                cells = list(zip(found.tolist(), times.tolist(), strict=True))
            for cell, n in cells:
                group, code = divmod(cell, width)
                if code:
                    self.cells.setdefault((group, layer), {})[code - 1] = n

    def _sum(self, column: str) -> list[float | None]:
        """Sum in us of a column of the calls for each group; None where no call has a value."""
        data = self.of_calls.numbers(column)
        if not data.valid.any():
            return [None] * self.grouped.count
        total = np.bincount(self.group_of, weights=data.values, minlength=self.grouped.count)
        if data.valid.all():
            known = self.counts
        else:
            known = np.bincount(self.group_of[data.valid], minlength=self.grouped.count)
        return [
            round(t / 1000, 3) if k else None for t, k in zip(total.tolist(), known.tolist(), strict=True)
        ]

    def _sum_times(self) -> None:
        self.times = {c: self._sum(f"{c}_ns") for c in ("total", "cpu")}
        for layer in LAYERS:
            for part in ("total", "self"):
                self.times[f"{layer}_{part}"] = self._sum(f"{layer}_{part}_ns")
        warm = self.of_calls.numbers("warm_up").values
        self.warm = (
            np.bincount(self.group_of, weights=warm, minlength=self.grouped.count).astype(int).tolist()
        )

    def _name_layers(self) -> None:
        """Names of the events that links lead into from above, for each group and layer, the most frequent first; of
        what a device ran the costliest."""
        m, groups = self.members, self.grouped.count
        width = max(len(self.names.values), 1)
        fast, span = evidence.of_members(m), groups * len(LAYERS) * width
        if fast is not None and span <= 8 * len(m.event):
            every = fast.named(m.call, m.layer, self._link, self.names.codes, self.group_of, (groups, width))
            found = np.flatnonzero(every)
            counts = every[found]
        else:
            slot = self.group_of[m.call] * len(LAYERS) + m.layer
            linked = self._link >= 0
            entered = np.zeros(groups * len(LAYERS), np.bool_)
            entered[slot[linked]] = True
            keep = (self.names.codes >= 0) & (linked | ~entered[slot])
            found, counts = counted(slot[keep] * width + self.names.codes[keep], span)
        self.device_work = device_work(m, self.names, self.durations, self._trial, self.group_of, groups)
        self.layer_names: dict[tuple[int, int], list[str]] = {}
        for i in np.argsort(-counts, kind="stable").tolist():
            at, name = divmod(int(found[i]), width)
            listed = self.layer_names.setdefault(divmod(at, len(LAYERS)), [])
            if len(listed) < NAMES:
                listed.append(self.names.values[name])

    def _count_sessions(self) -> None:
        """By group the sessions that ran its calls, the one with the most first, with the count of those calls."""
        session = self.of_calls.numbers("session_id")
        ran = session.valid
        pairs = np.stack([self.group_of[ran], session.values[ran]])
        found, counts = np.unique(pairs, axis=1, return_counts=True)
        self.sessions_of: dict[int, dict[int, int]] = {}
        for at in np.argsort(-counts, kind="stable").tolist():
            group, number = found[:, at].tolist()
            self.sessions_of.setdefault(group, {})[number] = int(counts[at])

    def _order_members(self) -> None:
        """Members of each group's sample, and library members by group, so that each group reads only its own."""
        self.sample = self._samples()
        is_sample = np.zeros(len(self.chosen), np.bool_)
        is_sample[self.sample] = True
        of_samples = np.flatnonzero(is_sample[self.members.call])
        self.by_call = of_samples[np.argsort(self.members.call[of_samples], kind="stable")]
        self.call_starts = np.searchsorted(self.members.call[self.by_call], np.arange(len(self.chosen) + 1))
        group_of = self.group_of[self.members.call[self.grouped.library_members]]
        self.library_order = sorting(group_of, self.grouped.count)
        self.library_starts = np.searchsorted(group_of[self.library_order], np.arange(self.grouped.count + 1))

    def _samples(self) -> list[int]:
        """The call of each group that shows the most events: its runtime events are the ones listed by name."""
        shown = np.bincount(self.members.call, minlength=len(self.chosen))
        most = np.zeros(self.grouped.count, np.int64)
        np.maximum.at(most, self.group_of, shown)
        calls = np.flatnonzero(shown == most[self.group_of])[::-1]
        first = np.zeros(self.grouped.count, np.int64)
        first[self.group_of[calls]] = calls  # of equal ones the first
        return [int(i) for i in first]
