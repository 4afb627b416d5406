# SPDX-License-Identifier: GPL-2.0-only
"""What a trace comes to. Plain columns: a minute of sixteen vCPUs is millions of events.

All times are on the host's CLOCK_MONOTONIC in nanoseconds, guests' included (lab.trace.clocks), columns of one
object have the same length and are sorted by time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.int64]
Numbers = NDArray[np.int32]
Flags = NDArray[np.bool_]


class State(IntEnum):
    """What a vCPU's thread does on the host.

    PREEMPTED: off its pCPU though it wants to run. WAKING: woken, and waiting for a pCPU. Both are run delay, and
    steal in the guest. BLOCKED: halted, or waiting for something. UNKNOWN: before its first event in the trace, or
    where events were lost.
    """

    RUNNING = 0
    PREEMPTED = 1
    WAKING = 2
    BLOCKED = 3
    UNKNOWN = 4


@dataclass(frozen=True)
class Switches:
    """sched_switch: `next_tid` took `cpu` (a pCPU on the host, a vCPU in a guest) from `prev_tid`, which still
    wanted to run where `prev_runnable`. Thread 0 is the idle task of whichever CPU."""

    t_ns: Times
    cpu: Numbers
    prev_tid: Numbers
    prev_runnable: Flags
    next_tid: Numbers


@dataclass(frozen=True)
class Wakeups:
    """sched_wakeup and sched_wakeup_new: `tid` was made runnable on `target_cpu`."""

    t_ns: Times
    tid: Numbers
    target_cpu: Numbers


@dataclass(frozen=True)
class Migrations:
    """sched_migrate_task: `tid` was moved from the queue of `from_cpu` to that of `to_cpu`."""

    t_ns: Times
    tid: Numbers
    from_cpu: Numbers
    to_cpu: Numbers


@dataclass(frozen=True)
class Ticks:
    """Entries of the timer interrupt in a guest: what it interrupted there was `tid`, `preempt_depth` deep in
    sections that must not be preempted (0 to 15; always 0 in kernels without CONFIG_PREEMPT_COUNT).

    A vCPU that was preempted for longer than a tick has one pending when it runs again, so the first of these
    after a preemption tells what the preemption hit, unless interrupts were off.
    """

    t_ns: Times
    cpu: Numbers
    tid: Numbers
    preempt_depth: Numbers


@dataclass(frozen=True)
class Marks:
    """Texts that tasks wrote into the trace themselves (trace_marker): loads mark what they hold so."""

    t_ns: Times
    cpu: Numbers
    tid: Numbers
    text: tuple[str, ...]


def _nothing(dtype: type) -> NDArray[Any]:
    return np.empty(0, dtype)


@dataclass(frozen=True)
class Notes:
    """What a kernel's own tracepoints tell in words (lab.trace.events), on the CPU where it happened."""

    t_ns: Times = field(default_factory=lambda: _nothing(np.int64))
    cpu: Numbers = field(default_factory=lambda: _nothing(np.int32))
    text: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trace:
    """The decoded trace of one machine (`node` is HOST_SCOPE or a guest) over one window.

    `names` are the tasks' names by thread, as last seen. `moments_ns` and `moments_cpu` have every event of any
    kind: what physics is checked with. `lost` is by CPU how many events are missing, `error_ns` how far a time may
    be off the host's clock, `damage` what of it could not be read, as texts; what was readable is there.
    """

    node: str
    phase: str
    start_ns: int
    end_ns: int
    switches: Switches
    wakeups: Wakeups
    migrations: Migrations
    ticks: Ticks
    marks: Marks
    moments_ns: Times
    moments_cpu: Numbers
    names: Mapping[int, str] = field(default_factory=dict)
    lost: Mapping[int, int] = field(default_factory=dict)
    error_ns: int = 0
    damage: tuple[str, ...] = ()
    notes: Notes = field(default_factory=Notes)


@dataclass(frozen=True)
class VcpuTimeline:
    """What one vCPU did from `start_ns[0]` to `end_ns[-1]`: stretches that follow each other without a gap.

    `state` has values of State, `pcpu` where it runs, or ran last (-1: not known), `taker` the thread that took its
    pCPU at the beginning of a PREEMPTED stretch, or ran there when a WAKING one began; 0 where it idled, -1
    elsewhere.
    """

    node: str
    vcpu: int
    tid: int
    start_ns: Times
    end_ns: Times
    state: Numbers
    pcpu: Numbers
    taker: Numbers


@dataclass(frozen=True)
class Thread:
    """A thread of the lab on the host: `owner` is a node or a hog, `role` what it is there ("vcpu 3", "emulator",
    "thread 0" of a hog)."""

    tid: int
    owner: str
    role: str
    vcpu: int | None = None


@dataclass(frozen=True)
class TracedWindow:
    """Everything that the traces of one phase say together. `guests` are by node, those that were traced."""

    phase: str
    host: Trace
    guests: Mapping[str, Trace]
    threads: Mapping[int, Thread]
    vcpus: tuple[VcpuTimeline, ...]
    doubts: tuple[str, ...] = ()
