# SPDX-License-Identifier: GPL-2.0-only
"""What the preemptions of a vCPU hit in its guest: the holder of a lock, a section that must not be interrupted.

Nothing happens in a guest while its vCPU is preempted. So whatever the guest's trace says of the middle of a
preemption holds for all of it, and is right as long as the clocks are off by less than half of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from lab.trace.model import Flags, Marks, Numbers, State, Times, Trace, VcpuTimeline
from lab.trace.summary import Holders
from lab.trace.timeline import NOBODY, Runners

#: A tick that was pending comes at once: what comes after more guest run time than this is another.
TICK_WITHIN_NS = 1_000_000

#: What a load writes when it releases a lock that it held for long: which, and for how many nanoseconds.
_HOLD = re.compile(r"pvlock hold (\S+) ([0-9]{1,18})\s*")
#: What it says again and again: that it would mark what it held for longer than this (images/probe/marker.h).
_MARKING = re.compile(r"pvlock marks (\S+) ([0-9]{1,18})\s*")

_IDLE = 0


@dataclass(frozen=True)
class Holds:
    """Thread `tid` held lock `name` from `begin_ns` to `end_ns`, when its mark says that it released it."""

    tid: Numbers
    begin_ns: Times
    end_ns: Times
    name: tuple[str, ...]

    def held(self, tid: Numbers, t_ns: Times) -> Flags:
        """Whether each `tid` held any lock at each `t_ns`, both ends of a hold included."""
        found = np.zeros(len(t_ns), dtype=np.bool_)
        for one in np.intersect1d(tid, self.tid):
            asked, mine = np.flatnonzero(tid == one), self.tid == one
            begun = np.searchsorted(np.sort(self.begin_ns[mine]), t_ns[asked], side="right")
            ended = np.searchsorted(np.sort(self.end_ns[mine]), t_ns[asked], side="left")
            found[asked] = begun > ended
        return found


def parse_holds(marks: Marks) -> Holds:
    """The holds that `marks` tell of: ``pvlock hold NAME NS``, written by the holder when it releases the lock."""
    told = [(at, match) for at, text in enumerate(marks.text) if (match := _HOLD.fullmatch(text))]
    at = np.array([place for place, _ in told], dtype=np.intp)
    held_ns = np.array([int(match[2]) for _, match in told], dtype=np.int64)
    end_ns = marks.t_ns[at]
    return Holds(marks.tid[at], end_ns - held_ns, end_ns, tuple(match[1] for _, match in told))


class GuestTrace:
    """The trace of one guest, prepared for being asked about preemptions of its vCPUs."""

    def __init__(self, guest: Trace, *, marks_holds: bool = False, tick_ns: int | None = None) -> None:
        """`marks_holds`: a load ran here that marks what it holds for long, so that without a mark nobody held any
        lock for long; it says so in the trace, too. `tick_ns` is the period of the guest's tick, by default as
        its ticks show it."""
        self.guest = guest
        self.runners = Runners(guest.switches)
        self.holds = parse_holds(guest.marks)
        said = any(_MARKING.fullmatch(text) for text in guest.marks.text)
        self.marks_holds = marks_holds or said or len(self.holds.tid) > 0
        self.tick_ns = tick_period_ns(guest) if tick_ns is None else tick_ns
        # A kernel that does not count never has any; one that does counts its idle tasks as not to be preempted.
        self.counts_preempt_depth = bool(np.any(guest.ticks.preempt_depth > 0))

    def holders(self, vcpu: VcpuTimeline) -> Holders | None:
        """What the preemptions of `vcpu` hit; None if this guest's trace has neither ticks nor marks of holds."""
        if not len(self.guest.ticks.t_ns) and not self.marks_holds:
            return None
        preempted = vcpu.state == State.PREEMPTED
        begin_ns, end_ns = vcpu.start_ns[preempted], vcpu.end_ns[preempted]
        middle_ns = begin_ns + (end_ns - begin_ns) // 2
        task = self.runners.at(np.full(len(middle_ns), vcpu.vcpu, dtype=np.int32), middle_ns)
        ticked = self._first_ticks(vcpu, middle_ns, end_ns - begin_ns)
        task[ticked.told & (task == NOBODY)] = ticked.tid[ticked.told & (task == NOBODY)]
        known = task != NOBODY
        return Holders(
            told=int(np.count_nonzero(ticked.told | known if self.marks_holds else ticked.told)),
            in_lock=int(np.count_nonzero(self.holds.held(task, middle_ns))) if self.marks_holds else None,
            no_preempt=self._count_no_preempt(ticked),
            irqs_off=self._count_irqs_off(vcpu.vcpu, middle_ns, task, ticked),
            told_by_tick=int(np.count_nonzero(ticked.told)),
        )

    def _first_ticks(self, vcpu: VcpuTimeline, middle_ns: Times, length_ns: Times) -> _Ticked:
        """The first tick after each preemption, and whether it was pending then: the preemption was longer than a
        period, no other one came before the tick, and the guest had run for TICK_WITHIN_NS at most."""
        ticks = self.guest.ticks
        mine = np.flatnonzero(ticks.cpu == vcpu.vcpu)
        if not len(mine) or not len(middle_ns):
            return _no_ticks(len(middle_ns))
        following = np.searchsorted(ticks.t_ns[mine], middle_ns)
        first = mine[np.minimum(following, len(mine) - 1)]
        t_ns = ticks.t_ns[first]
        latest = np.searchsorted(middle_ns, t_ns, side="right") - 1 == np.arange(len(middle_ns))
        ran_ns = _run_ns(vcpu, t_ns) - _run_ns(vcpu, middle_ns)
        soon = (ran_ns <= TICK_WITHIN_NS) & (t_ns < vcpu.end_ns[-1])
        told = (following < len(mine)) & (length_ns > self.tick_ns) & latest & soon
        return _Ticked(told, t_ns, ticks.tid[first], ticks.preempt_depth[first])

    def _count_no_preempt(self, ticked: _Ticked) -> int | None:
        """Idle tasks are never to be preempted, one level deep, which says nothing."""
        if not self.counts_preempt_depth:
            return None
        deeper_than = np.where(ticked.tid == _IDLE, 1, 0)
        return int(np.count_nonzero(ticked.told & (ticked.preempt_depth > deeper_than)))

    def _count_irqs_off(self, vcpu: int, middle_ns: Times, task: Numbers, ticked: _Ticked) -> int | None:
        """A pending tick comes as soon as interrupts are on. If the guest switched tasks before it, they were off;
        others are not seen, so this is the least. An idle vCPU may have had no tick pending."""
        if not len(self.guest.switches.t_ns):
            return None
        switches_ns = self.guest.switches.t_ns[self.guest.switches.cpu == vcpu]
        between = np.searchsorted(switches_ns, ticked.t_ns) - np.searchsorted(switches_ns, middle_ns)
        return int(np.count_nonzero(ticked.told & (task > _IDLE) & (between > 0)))


@dataclass(frozen=True)
class _Ticked:
    """For each preemption, whether a tick tells what it hit, and that tick."""

    told: Flags
    t_ns: Times
    tid: Numbers
    preempt_depth: Numbers


def _no_ticks(count: int) -> _Ticked:
    nothing = np.zeros(count, dtype=np.int32)
    return _Ticked(np.zeros(count, dtype=np.bool_), np.zeros(count, dtype=np.int64), nothing, nothing)


def tick_period_ns(guest: Trace) -> int:
    """The period of the guest's timer tick: the median time between two of one vCPU. Late ones are followed by ones
    that come early, since they keep to a grid. 0 where fewer than two were seen."""
    ticks = guest.ticks
    gaps = [np.diff(ticks.t_ns[ticks.cpu == vcpu]) for vcpu in np.unique(ticks.cpu)]
    together = np.concatenate(gaps) if gaps else np.empty(0, dtype=np.int64)
    return int(np.median(together)) if len(together) else 0


def _run_ns(vcpu: VcpuTimeline, t_ns: Times) -> Times:
    """How long `vcpu` had run in its window at each `t_ns`; what lies outside counts as its nearest end."""
    running = vcpu.state == State.RUNNING
    lengths_ns = np.where(running, vcpu.end_ns - vcpu.start_ns, 0)
    before_ns = np.cumsum(lengths_ns) - lengths_ns
    t_ns = np.clip(t_ns, vcpu.start_ns[0], vcpu.end_ns[-1])
    at = np.searchsorted(vcpu.start_ns, t_ns, side="right") - 1
    within_ns = np.where(running[at], t_ns - vcpu.start_ns[at], 0)
    return np.asarray(before_ns[at] + within_ns, dtype=np.int64)
