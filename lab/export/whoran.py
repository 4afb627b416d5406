# SPDX-License-Identifier: GPL-2.0-only
"""Who ran on one CPU, by the switches that were traced there."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from lab.trace.model import Flags, Numbers, Switches, Times

_IDLE = 0


@dataclass(frozen=True)
class Runs:
    """From `start_ns` to `end_ns` thread `tid` ran; with `others`, it ran at the beginning (before the first
    switch: at the end), and then others whose switches were not traced."""

    start_ns: Times
    end_ns: Times
    tid: Numbers
    others: Flags


def runs_on(
    switches: Switches, cpu: int, between_ns: tuple[int, int], traced: Collection[int] | None = None
) -> Runs:
    """The runs on `cpu` within a stretch of time, without those of its idle task.

    `traced` are the threads that the trace was restricted to, as a host's is: what ran when none of them was
    involved is not known. None: it has every switch.
    """
    mine = np.flatnonzero(switches.cpu == cpu)
    if not len(mine):
        nothing = np.empty(0, dtype=np.int64)
        return Runs(nothing, nothing, nothing.astype(np.int32), nothing.astype(np.bool_))
    before, after = switches.prev_tid[mine], switches.next_tid[mine]
    tid = np.concatenate((before[:1], after))
    edges = np.clip(np.concatenate(([between_ns[0]], switches.t_ns[mine], [between_ns[1]])), *between_ns)
    others = np.zeros(len(tid), dtype=np.bool_)
    others[1:-1] = after[:-1] != before[1:]
    if traced is not None:
        others[0], others[-1] = int(tid[0]) not in traced, int(tid[-1]) not in traced
    kept = np.flatnonzero((edges[1:] > edges[:-1]) & ((tid != _IDLE) | others))
    return Runs(edges[:-1][kept], edges[1:][kept], tid[kept], others[kept])
