# SPDX-License-Identifier: GPL-2.0-only
"""From the traces of one phase to what is judged, printed and drawn of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

import numpy as np

from lab.plan.labplan import HOST_SCOPE
from lab.trace.holders import GuestTrace
from lab.trace.model import State, Thread, Times, Trace, TracedWindow, VcpuTimeline
from lab.trace.pattern import find_patterns
from lab.trace.physics import check_physics
from lab.trace.summary import HitBy, PhaseTrace, Physics, VcpuPreemptions
from lab.trace.takers import name_taker
from lab.trace.timeline import vcpu_timelines


def build_window(host: Trace, guests: Mapping[str, Trace], threads: Mapping[int, Thread]) -> TracedWindow:
    """The traces of one phase, joined: with the timeline of each vCPU among `threads`.

    Its doubts are what could not be read of the traces. Lost events are not among them: PhaseTrace.lost has these,
    since those of one guest say nothing against the host's figures.
    """
    traces = (host, *guests.values())
    doubts = tuple(f"{_whose(one)}: {damage}" for one in traces for damage in one.damage)
    return TracedWindow(host.phase, host, dict(guests), dict(threads), vcpu_timelines(host, threads), doubts)


def _whose(trace: Trace) -> str:
    return "the host's trace" if trace.node == HOST_SCOPE else f"the trace of {trace.node}"


def summarise(window: TracedWindow, marking: Collection[str] = ()) -> PhaseTrace:
    """What the traces of one phase come to. On the nodes `marking` a load ran that marks in the trace what it holds
    for long: there no mark means that nothing was held for long, elsewhere that nobody knows."""
    guests = {node: GuestTrace(trace, marks_holds=node in marking) for node, trace in window.guests.items()}
    return PhaseTrace(
        phase=window.phase,
        vcpus=tuple(_summarise_vcpu(window, one, guests.get(one.node)) for one in window.vcpus),
        physics=tuple(_check(window)),
        lost={one.node: sum(one.lost.values()) for one in (window.host, *window.guests.values())},
        doubts=window.doubts,
        patterns=find_patterns(window),
    )


def _check(window: TracedWindow) -> Iterator[Physics]:
    for guest in window.guests.values():
        yield check_physics(guest, window.vcpus, window.host.error_ns + guest.error_ns)


def _summarise_vcpu(window: TracedWindow, vcpu: VcpuTimeline, guest: GuestTrace | None) -> VcpuPreemptions:
    lengths_ns = vcpu.end_ns - vcpu.start_ns
    sums = {state: int(lengths_ns[vcpu.state == state].sum()) for state in State}
    return VcpuPreemptions(
        node=vcpu.node,
        vcpu=vcpu.vcpu,
        phase=window.phase,
        elapsed_ns=int(lengths_ns.sum()),
        lengths_ns=_whole(vcpu, State.PREEMPTED),
        latencies_ns=_whole(vcpu, State.WAKING),
        run_ns=sums[State.RUNNING],
        preempted_ns=sums[State.PREEMPTED],
        waking_ns=sums[State.WAKING],
        blocked_ns=sums[State.BLOCKED],
        migrations=_count_migrations(window.host, vcpu.tid),
        by=tuple(_by_taker(window, vcpu)),
        holders=None if guest is None else guest.holders(vcpu),
        error_ns=window.host.error_ns,
    )


def _whole(vcpu: VcpuTimeline, state: State) -> Times:
    """Lengths of the stretches in `state` that began and ended in the window, sorted: of others the length is not
    known. Only the first and the last stretch can be such ones."""
    mine = vcpu.state == state
    mine[:1] = mine[-1:] = False
    return np.sort(vcpu.end_ns[mine] - vcpu.start_ns[mine])


def _count_migrations(host: Trace, tid: int) -> int:
    moved = host.migrations
    inside = (moved.t_ns >= host.start_ns) & (moved.t_ns < host.end_ns)
    return int(np.count_nonzero((moved.tid == tid) & inside))


def _by_taker(window: TracedWindow, vcpu: VcpuTimeline) -> Iterable[HitBy]:
    """The preemptions by who took the pCPU at their beginning, most time first; those cut off by the window count
    with what lies in it, so that the times sum up to `preempted_ns`."""
    mine = vcpu.state == State.PREEMPTED
    tids, place = np.unique(vcpu.taker[mine], return_inverse=True)
    lengths_ns = vcpu.end_ns[mine] - vcpu.start_ns[mine]
    totals_ns = np.zeros(len(tids), dtype=np.int64)
    np.add.at(totals_ns, place, lengths_ns)
    counts = np.bincount(place, minlength=len(tids))
    by: dict[str, HitBy] = {}
    for tid, count, total_ns in zip(tids.tolist(), counts.tolist(), totals_ns.tolist(), strict=True):
        taker = name_taker(tid, window.host.names, window.threads)
        known = by.get(taker, HitBy(taker, 0, 0))
        by[taker] = HitBy(taker, known.count + count, known.total_ns + total_ns)
    return sorted(by.values(), key=lambda one: (-one.total_ns, one.taker))
