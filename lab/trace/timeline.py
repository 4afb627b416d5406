# SPDX-License-Identifier: GPL-2.0-only
"""From the host's scheduler events to what each vCPU's thread did at every moment.

A thread runs from a switch to it until a switch away from it. If it was still runnable then, it is preempted
until the next switch to it; if not, it is blocked until a wake-up, and then waits until the next switch to it.
Wake-ups of what runs or waits already change nothing. Where the wake-up is missing (filtered out, lost), the
thread counts as blocked until it runs again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lab.trace.model import Numbers, State, Switches, Thread, Times, Trace, VcpuTimeline

#: pCPUs and threads that are not known.
NOBODY = -1


@dataclass(frozen=True)
class Stretches:
    """What one thread did over a window: the columns of a VcpuTimeline, for any thread of the host."""

    start_ns: Times
    end_ns: Times
    state: Numbers
    pcpu: Numbers
    taker: Numbers


class Runners:
    """Who ran on which pCPU when, by the switches that were traced."""

    def __init__(self, switches: Switches) -> None:
        self._switches = switches
        self._of_pcpu: dict[int, tuple[Times, Numbers]] = {}

    def at(self, pcpu: Numbers, t_ns: Times) -> Numbers:
        """The thread on each `pcpu` at each `t_ns`, after what happened at that moment; NOBODY where no switch
        of that pCPU was traced. Before its first one, that is who it switched away from."""
        tids = np.full(len(t_ns), NOBODY, dtype=np.int32)
        for one in np.unique(pcpu):
            asked = np.flatnonzero(pcpu == one)
            since_ns, running = self._runs(int(one))
            tids[asked] = running[np.searchsorted(since_ns, t_ns[asked], side="right")]
        return tids

    def _runs(self, pcpu: int) -> tuple[Times, Numbers]:
        """Times of the pCPU's switches, and who ran before the first and after each."""
        if pcpu not in self._of_pcpu:
            mine = np.flatnonzero(self._switches.cpu == pcpu)
            before = self._switches.prev_tid[mine[:1]] if len(mine) else np.array([NOBODY], dtype=np.int32)
            running = np.concatenate((before, self._switches.next_tid[mine]))
            self._of_pcpu[pcpu] = (self._switches.t_ns[mine], running)
        return self._of_pcpu[pcpu]


def vcpu_timelines(host: Trace, threads: Mapping[int, Thread]) -> tuple[VcpuTimeline, ...]:
    """The timeline of each vCPU among `threads` over the window of `host`, sorted by node and vCPU.

    Events outside the window, where `host` has any, tell what was going on at its ends. Without them a thread is
    UNKNOWN before its first event, unless that is a switch away from it (it ran) or a wake-up (it was blocked);
    and all the time where it has no event.
    """
    runners = Runners(host.switches)
    vcpus = sorted((one.owner, one.vcpu, one.tid) for one in threads.values() if one.vcpu is not None)
    return tuple(_vcpu_timeline(host, runners, *vcpu) for vcpu in vcpus)


def _vcpu_timeline(host: Trace, runners: Runners, node: str, vcpu: int, tid: int) -> VcpuTimeline:
    seen = thread_stretches(host, tid, runners)
    return VcpuTimeline(node, vcpu, tid, seen.start_ns, seen.end_ns, seen.state, seen.pcpu, seen.taker)


def thread_stretches(host: Trace, tid: int, runners: Runners) -> Stretches:
    """What thread `tid` did over the window of `host`; `runners` are those of `host.switches`."""
    events = _drop_wakeups_without_effect(_events(host, tid))
    woken = np.flatnonzero(events.state == State.WAKING)
    pcpu, taker = events.pcpu.copy(), events.other.copy()
    # A wake-up says where the thread will wait, and who runs there; where it ran last, the switch before it says.
    taker[woken] = runners.at(events.pcpu[woken], events.t_ns[woken])
    pcpu[woken] = np.where(woken > 0, events.pcpu[woken - 1], NOBODY) if len(woken) else pcpu[woken]
    first_state, first_pcpu = _before(events)
    return _cut(
        host.start_ns,
        host.end_ns,
        events.t_ns,
        _prepend(first_state, events.state),
        _prepend(first_pcpu, pcpu),
        _prepend(NOBODY, taker),
    )


@dataclass(frozen=True)
class _Events:
    """The events of one thread: `state` is what it would be after each, `pcpu` where that happened (for a wake-up:
    where it is to run), `other` who took the pCPU from it."""

    t_ns: Times
    state: Numbers
    pcpu: Numbers
    other: Numbers


def _events(host: Trace, tid: int) -> _Events:
    """All events of `tid`. Of those at one moment a switch away comes first and a switch to it last: it cannot be
    woken, and cannot run elsewhere, before it is gone."""
    switches, wakeups = host.switches, host.wakeups
    out = np.flatnonzero(switches.prev_tid == tid)
    woken = np.flatnonzero(wakeups.tid == tid)
    into = np.flatnonzero(switches.next_tid == tid)
    t_ns = np.concatenate((switches.t_ns[out], wakeups.t_ns[woken], switches.t_ns[into]))
    after_out = np.where(switches.prev_runnable[out], State.PREEMPTED, State.BLOCKED).astype(np.int32)
    state = np.concatenate((after_out, _same(State.WAKING, len(woken)), _same(State.RUNNING, len(into))))
    pcpu = np.concatenate((switches.cpu[out], wakeups.target_cpu[woken], switches.cpu[into]))
    other = np.concatenate((switches.next_tid[out], _same(NOBODY, len(woken)), _same(NOBODY, len(into))))
    order = np.argsort(t_ns, kind="stable")
    return _Events(t_ns[order], state[order], pcpu[order], other[order])


def _drop_wakeups_without_effect(events: _Events) -> _Events:
    """`events` without wake-ups of a thread that is not blocked: only the first one after it blocked has one, or
    the very first event, if what follows does not say that it ran all along."""
    is_switch = events.state != State.WAKING
    after_blocking = np.zeros(len(is_switch), dtype=np.bool_)
    after_blocking[1:] = events.state[:-1] == State.BLOCKED
    switches = np.flatnonzero(is_switch)
    if len(is_switch):
        after_blocking[0] = not len(switches) or events.state[switches[0]] == State.RUNNING
    kept = is_switch | after_blocking
    return _Events(events.t_ns[kept], events.state[kept], events.pcpu[kept], events.other[kept])


def _before(events: _Events) -> tuple[State, int]:
    """State and pCPU before the first event, as far as that tells."""
    first = int(events.state[0]) if len(events.state) else State.RUNNING
    if first == State.RUNNING:
        return State.UNKNOWN, NOBODY
    return (State.BLOCKED, NOBODY) if first == State.WAKING else (State.RUNNING, int(events.pcpu[0]))


def _cut(begin_ns: int, end_ns: int, t_ns: Times, state: Numbers, pcpu: Numbers, taker: Numbers) -> Stretches:
    """The stretches before, between and after the moments `t_ns`, within the window; empty ones are dropped."""
    edges = np.clip(np.concatenate(([begin_ns], t_ns, [end_ns])), begin_ns, max(begin_ns, end_ns))
    edges[0], edges[-1] = begin_ns, max(begin_ns, end_ns)
    kept = np.flatnonzero(edges[1:] > edges[:-1])
    return Stretches(edges[:-1][kept], edges[1:][kept], state[kept], pcpu[kept], taker[kept])


def _same(value: int, count: int) -> Numbers:
    return np.full(count, value, dtype=np.int32)


def _prepend(value: int, column: Numbers) -> Numbers:
    return np.concatenate((_same(value, 1), column))
