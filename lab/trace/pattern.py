# SPDX-License-Identifier: GPL-2.0-only
"""Takers that come and go by a pattern: how often one takes a pCPU, and for how long each time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from lab.trace.model import State, Times, TracedWindow
from lab.trace.summary import FEWEST_BURSTS, TakerPattern
from lab.trace.takers import is_hog, name_taker
from lab.trace.timeline import Runners, Stretches, thread_stretches

#: Bursts that are nearer to each other are one: a thread that waits for so short a time has not gone.
JOIN_NS = 500_000


def find_patterns(window: TracedWindow) -> tuple[TakerPattern, ...]:
    """How each hog's thread, and each other one that took a pCPU from a vCPU FEWEST_BURSTS times, comes and goes.

    A burst begins when the thread gets a pCPU after it was blocked, and ends when it blocks; being preempted does
    not end it. Threads with fewer than FEWEST_BURSTS bursts in the window are left out. Sorted by taker.
    """
    runners = Runners(window.host.switches)
    found = (_pattern(window, tid, runners) for tid in sorted(_candidates(window)))
    return tuple(sorted((one for one in found if one is not None), key=lambda one: (one.taker, one.tid)))


def _candidates(window: TracedWindow) -> set[int]:
    takes: Counter[int] = Counter()
    for one in window.vcpus:
        tids, counts = np.unique(one.taker[one.state == State.PREEMPTED], return_counts=True)
        takes.update(dict(zip(tids.tolist(), counts.tolist(), strict=True)))
    hogs = {tid for tid, thread in window.threads.items() if is_hog(thread)}
    return hogs | {tid for tid, count in takes.items() if tid > 0 and count >= FEWEST_BURSTS}


def _pattern(window: TracedWindow, tid: int, runners: Runners) -> TakerPattern | None:
    bursts = find_bursts(thread_stretches(window.host, tid, runners))
    if len(bursts.begin_ns) < FEWEST_BURSTS:
        return None
    periods_ns, lengths_ns = np.diff(bursts.begin_ns), bursts.end_ns - bursts.begin_ns
    return TakerPattern(
        taker=name_taker(tid, window.host.names, window.threads),
        tid=tid,
        bursts=len(bursts.begin_ns),
        period_ns=int(np.median(periods_ns)),
        period_spread_ns=_spread_ns(periods_ns),
        length_ns=int(np.median(lengths_ns)),
        length_spread_ns=_spread_ns(lengths_ns),
        run_ns=int(np.median(bursts.run_ns)),
    )


def _spread_ns(values_ns: Times) -> int:
    """Half the distance of the quartiles: half of all values lie within about so much of the median."""
    low, high = np.percentile(values_ns, (25, 75))
    return int((high - low) / 2)


@dataclass(frozen=True)
class Bursts:
    """Bursts of one thread, all of them whole; `run_ns` is how long it really ran in each."""

    begin_ns: Times
    end_ns: Times
    run_ns: Times


def find_bursts(thread: Stretches) -> Bursts:
    """The bursts of `thread` that begin and end in its window."""
    on = (thread.state == State.RUNNING) | (thread.state == State.PREEMPTED)
    edges = np.diff(on.astype(np.int8), prepend=0, append=0)
    first, last = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1
    if len(first) > 1:
        apart = thread.start_ns[first[1:]] - thread.end_ns[last[:-1]] >= JOIN_NS
        first, last = first[np.append(True, apart)], last[np.append(apart, True)]
    whole = (first > 0) & (last < len(on) - 1)
    first, last = first[whole], last[whole]
    lengths_ns = np.where(thread.state == State.RUNNING, thread.end_ns - thread.start_ns, 0)
    ran_ns = np.append(0, np.cumsum(lengths_ns))
    return Bursts(thread.start_ns[first], thread.end_ns[last], ran_ns[last + 1] - ran_ns[first])
