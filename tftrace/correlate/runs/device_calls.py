"""Which calls the work of devices served, found through the threads that launched it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tftrace.correlate.profiles.profile import ProfileEvents
from tftrace.correlate.runs.dispatches import Dispatches
from tftrace.correlate.runs.node_calls import NodeCalls
from tftrace.correlate.tables.columns import NONE, Int, TraceBuilder, taken


@dataclass(frozen=True)
class DeviceCalls:
    """For each row of the profile's events that is a launch, the calls it serves; NONE in the other rows."""

    profile: ProfileEvents
    root: Int  # row of the entry into the runtime, or NONE
    node: Int  # position among the executions of nodes, or NONE

    def launches(self, of: Int) -> tuple[Int, Int, Int]:
        """(owner, start, end) of the launches."""
        rows = np.flatnonzero(self.profile.is_launch)
        return of[rows], self.profile.start[rows], self.profile.end[rows]

    def work(self, of: Int) -> tuple[Int, Int, Int]:
        """(owner, start, end) of the device's work that a launch is known of."""
        work = self.profile.work
        rows = np.flatnonzero(work.launch >= 0)
        return of[work.launch[rows]], work.start[rows], work.end[rows]


def add_device_calls(
    build: TraceBuilder, calls: Dispatches, profile: ProfileEvents, nodes: NodeCalls, parent: Int, root: Int
) -> DeviceCalls:
    """Launches and device work belong to the node whose kernel launched them, else to the entry on whose thread they
    were launched: an op of the default eager mode names neither.

    `parent` and `root` are those of entries, the profile's events and primitives in one array.
    """
    nd, npf = len(calls.runtime), len(profile.ids)
    launches = np.flatnonzero(profile.is_launch)
    at = parent[nd + launches].copy()
    for _ in range(32):
        inside = (at >= nd) & (at < nd + npf)
        open_ = (at >= nd) & ~(inside & _known(nodes.of_profile, at - nd))
        if not open_.any():
            break
        at[open_] = parent[at[open_]]
    inside = (at >= nd) & (at < nd + npf)
    node, entry = np.full(npf, NONE, np.int64), np.full(npf, NONE, np.int64)
    node[launches] = np.where(inside, taken(nodes.of_profile, np.where(inside, at - nd, NONE)), NONE)
    entry[launches] = root[nd + launches]

    own = np.where(node >= 0, taken(nodes.call, node), taken(calls.call, entry))
    build.belong(profile.ids[launches], own[launches])
    work = profile.work
    build.belong(work.ids, taken(own, work.launch))
    known = work.launch >= 0
    for chunk, owner in ((nodes.call, node), (calls.call, entry)):
        device = np.full(len(chunk), NONE, np.int64)
        mine = taken(owner, work.launch)
        some = known & (mine >= 0)
        device[mine[some][::-1]] = work.device[some][::-1]
        build.place_calls(chunk, device)
    return DeviceCalls(profile, entry, node)


def _known(of_profile: Int, at: Int) -> np.ndarray:
    return taken(of_profile, np.where((at >= 0) & (at < len(of_profile)), at, NONE)) >= 0
