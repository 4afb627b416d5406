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
    held a lock that it had marked, `no_preempt` a section that must not be preempted, `irqs_off` one with interrupts
    off, `on_avoided` a vCPU that was to be avoided then. None: this guest cannot tell.
    """

    told: int
    in_lock: int | None
    no_preempt: int | None
    irqs_off: int | None
    on_avoided: int | None = None


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


@dataclass(frozen=True)
class PhaseTrace:
    """What the traces of one phase come to; `lost` is by machine (HOST_SCOPE or a node) how many events are missing."""

    phase: str
    vcpus: tuple[VcpuPreemptions, ...]
    physics: tuple[Physics, ...] = ()
    lost: Mapping[str, int] | None = None
    doubts: tuple[str, ...] = ()
