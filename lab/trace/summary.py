# SPDX-License-Identifier: GPL-2.0-only
"""What a traced window comes to for each vCPU: what is judged, printed and drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lab.trace.model import Times


@dataclass(frozen=True)
class HitBy:
    """Preemptions of one vCPU by one taker: how often, and for how long in all. `taker` is a text: "guest2 vcpu 1",
    "guest2 emulator", "hog noisy", "kernel kworker/0:1", "foreign bash", "idle"."""

    taker: str
    count: int
    total_ns: int


@dataclass(frozen=True)
class Holders:
    """What the preemptions of one vCPU hit in its guest, of those that could be told.

    `told` is how many of its preemptions the guest's trace says anything about; of these `in_lock` hit a task that
    held a lock that it had marked, `no_preempt` a section that must not be preempted, `irqs_off` one with
    interrupts off, `on_avoided` a vCPU that was to be avoided then. None: this guest cannot tell.

    A tick tells only of preemptions that were longer than its period: `no_preempt` and `irqs_off` are of these
    `told_by_tick`, not of all that were told. With interrupts off are only those seen that can be for certain.
    """

    told: int
    in_lock: int | None
    no_preempt: int | None
    irqs_off: int | None
    on_avoided: int | None = None
    told_by_tick: int = 0


@dataclass(frozen=True)
class VcpuPreemptions:
    """One vCPU in one traced window of `elapsed_ns`.

    `lengths_ns` are the lengths of its PREEMPTED stretches that ended in the window, `latencies_ns` those of its
    WAKING ones, both sorted. `run_ns`, `preempted_ns`, `waking_ns` and `blocked_ns` sum its states; what is left of
    the window is unknown. `error_ns` is how far a time may be off. `doubts` as for lab.measure.windows.PhaseWindow,
    for these figures alone.
    """

    node: str
    vcpu: int
    phase: str
    elapsed_ns: int
    lengths_ns: Times
    latencies_ns: Times
    run_ns: int
    preempted_ns: int
    waking_ns: int
    blocked_ns: int
    migrations: int
    by: tuple[HitBy, ...]
    holders: Holders | None = None
    error_ns: int = 0
    doubts: tuple[str, ...] = ()

    @property
    def delay_ns(self) -> int:
        """Its run delay: what schedstat counts, and steal in the guest."""
        return self.preempted_ns + self.waking_ns


@dataclass(frozen=True)
class Physics:
    """Guest events that lie where their vCPU did not run on the host, by more than the clocks' error: none, unless
    a clock is wrong. `checked` events were looked at; `worst_ns` is how far the worst lies from where it can be."""

    node: str
    phase: str
    checked: int
    violations: int
    worst_ns: int
    error_ns: int


#: Fewer bursts than this show no pattern, and of a longer period than the window allows nothing can be said.
FEWEST_BURSTS = 5


@dataclass(frozen=True)
class TakerPattern:
    """How one thread that takes pCPUs comes and goes: `taker` as in HitBy, with the thread's id on the host.

    Of its `bursts` in the window, medians: `period_ns` from the beginning of one to that of the next, `length_ns`
    from beginning to end, `run_ns` what of that it really ran. A spread is half the distance of the quartiles.
    """

    taker: str
    tid: int
    bursts: int
    period_ns: int
    period_spread_ns: int
    length_ns: int
    length_spread_ns: int
    run_ns: int

    @property
    def periodic(self) -> bool:
        """Whether most periods are the same within a tenth. What comes at random is spread by half of its mean."""
        return self.period_spread_ns * 10 <= self.period_ns


@dataclass(frozen=True)
class PhaseTrace:
    """What the traces of one phase come to; `lost` is by machine (HOST_SCOPE or a node) how many events are
    missing, `patterns` how takers come and go (lab.trace.pattern)."""

    phase: str
    vcpus: tuple[VcpuPreemptions, ...]
    physics: tuple[Physics, ...] = ()
    lost: Mapping[str, int] | None = None
    doubts: tuple[str, ...] = ()
    patterns: tuple[TakerPattern, ...] = ()
