# SPDX-License-Identifier: GPL-2.0-only
"""The timeline of a thread, event by event: slow, and plain enough to be believed."""

from __future__ import annotations

from collections.abc import Iterator

from lab.trace.model import State, Trace

#: (time, kind, cpu, other thread); of one moment in this order.
OUT, WAKE, IN = 0, 1, 2
Stretch = tuple[int, int, State, int, int]


def events_of(trace: Trace, tid: int) -> list[tuple[int, int, int, int, bool]]:
    found = []
    rows = zip(*(getattr(trace.switches, name).tolist() for name in ("t_ns", "cpu", "prev_tid")), strict=True)
    for at, (t_ns, cpu, prev_tid) in enumerate(rows):
        next_tid = int(trace.switches.next_tid[at])
        if prev_tid == tid:
            found.append((t_ns, OUT, cpu, next_tid, bool(trace.switches.prev_runnable[at])))
        if next_tid == tid:
            found.append((t_ns, IN, cpu, prev_tid, False))
    for at, woken in enumerate(trace.wakeups.tid.tolist()):
        if woken == tid:
            found.append((int(trace.wakeups.t_ns[at]), WAKE, int(trace.wakeups.target_cpu[at]), -1, False))
    return sorted(found, key=lambda event: event[:2])


def runner(trace: Trace, pcpu: int, t_ns: int) -> int:
    mine = [at for at, cpu in enumerate(trace.switches.cpu.tolist()) if cpu == pcpu]
    before = [at for at in mine if trace.switches.t_ns[at] <= t_ns]
    if before:
        return int(trace.switches.next_tid[before[-1]])
    return int(trace.switches.prev_tid[mine[0]]) if mine else -1


def first_state(events: list[tuple[int, int, int, int, bool]]) -> tuple[State, int]:
    switched = [event for event in events if event[1] != WAKE]
    if switched and switched[0][1] == OUT:
        return State.RUNNING, switched[0][2]
    return (State.BLOCKED, -1) if events and events[0][1] == WAKE else (State.UNKNOWN, -1)


def changes(trace: Trace, tid: int) -> Iterator[tuple[int, State, int, int]]:
    """(since when, state, pCPU, taker), in turn."""
    events = events_of(trace, tid)
    state, pcpu = first_state(events)
    yield trace.start_ns, state, pcpu, -1
    for t_ns, kind, cpu, other, runnable in events:
        if kind == WAKE:
            if state == State.BLOCKED:
                state = State.WAKING
                yield t_ns, state, pcpu, runner(trace, cpu, t_ns)
            continue
        pcpu = cpu
        state = State.RUNNING if kind == IN else State.PREEMPTED if runnable else State.BLOCKED
        yield t_ns, state, pcpu, -1 if kind == IN else other


def slow_stretches(trace: Trace, tid: int) -> list[Stretch]:
    told = list(changes(trace, tid))
    ends = [*(since for since, *_ in told[1:]), trace.end_ns]
    cut = [
        (max(since, trace.start_ns), min(end, trace.end_ns), state, pcpu, taker)
        for (since, state, pcpu, taker), end in zip(told, ends, strict=True)
    ]
    if len(told) == 1:
        return cut if trace.end_ns > trace.start_ns else []
    # Before the window's start the first state holds from ever; whatever is empty within the window is not there.
    return [stretch for stretch in cut if stretch[1] > stretch[0]]
