# SPDX-License-Identifier: GPL-2.0-only
"""Predicted steal: what each vCPU wants, what it gets beside all others, and the difference.

What is modelled, and where it is an approximation:

- *Inside a guest* pinned tasks keep to their vCPUs and the others spread evenly over what is left, as the
  guest's own load balancer does in the long run. A demand below 1 is an average: at any one time a spinning
  task is on one vCPU.
- *Weight* is the guest's (libvirt's `<shares>` is cpu.weight of the domain's cgroup); the vCPU cgroups inside
  are equal unless folded by weight. The kernel spreads a task group's weight over pCPUs by load, `weight * local
  load / total load` (calc_group_shares() in kernel/sched/fair.c), so a vCPU competes with `guest weight * its
  demand / demand of the whole guest`, demands taken by the weights of the vCPUs. On one pCPU that is exactly
  "guests by weight, then vCPUs equally". Over several pCPUs it is the kernel's own approximation, with two of
  ours: load is taken as demand, although the kernel's average also counts waiting; and vCPUs that may use several
  pCPUs are assumed to be balanced perfectly.
- *Quota* caps a vCPU. A throttled thread is runnable and waits, so what the quota cuts is steal.
- *Hogs* are threads of the lab's own on the host, in a control group beside those of the guests (pvspin), so that
  each counts as a guest with a vCPU on each of its pCPUs. A hog's duty is a demand below 1 that lasts: what it did
  not get it wants later (images/probe/pace.h).
- Emulator threads and everything else on the host are left out: they belong on the housekeeping pCPUs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from lab.plan.fairshare import Claim, fair_shares


@dataclass(frozen=True)
class GuestLoad:
    """`tasks` busy tasks that run on `vcpus` of one guest; on all of them where it is empty."""

    tasks: int
    vcpus: tuple[int, ...] = ()


@dataclass(frozen=True)
class Contender:
    """A guest, or a hog, as the scheduler of the host sees it: the pCPUs and the demand (0..1) of each vCPU, its
    CPU weight, and the share of a pCPU at which a quota stops each vCPU (1.0: none).

    `caps` are those shares where vCPUs differ, `vcpu_weights` their weights among each other.
    """

    pins: tuple[tuple[int, ...], ...]
    demands: tuple[float, ...]
    weight: int = 100
    cap: float = 1.0
    caps: tuple[float, ...] | None = None
    vcpu_weights: tuple[int, ...] | None = None

    @property
    def limits(self) -> tuple[float, ...]:
        """The most that each vCPU can use."""
        caps = self.caps if self.caps is not None else (self.cap,) * len(self.demands)
        return tuple(map(min, self.demands, caps))


def vcpu_demands(vcpus: int, loads: Sequence[GuestLoad]) -> tuple[float, ...]:
    """How busy (0..1) the tasks of `loads` keep each of `vcpus` vCPUs when nobody disturbs them.

    The most tightly bound tasks are placed first, the others fill what is left, lowest first.
    """
    demands = [0.0] * vcpus
    places = [(load.vcpus or tuple(range(vcpus)), load.tasks) for load in loads]
    for allowed, tasks in sorted(places, key=lambda place: len(place[0])):
        level = _level([demands[vcpu] for vcpu in allowed], tasks)
        for vcpu in allowed:
            demands[vcpu] = min(1.0, max(demands[vcpu], level))
    return tuple(demands)


def _level(heights: list[float], amount: float) -> float:
    """The level that `amount` of water reaches in columns already filled up to `heights`."""
    below = 0.0
    ordered = [*sorted(heights), float("inf")]
    for count, (height, following) in enumerate(pairwise(ordered), 1):
        below += height
        level = (amount + below) / count
        if level <= following:
            return level
    raise AssertionError("unreachable: the last column is infinitely high")


def predict_shares(contenders: Sequence[Contender]) -> tuple[tuple[float, ...], ...]:
    """The share of a pCPU (0..1) that each vCPU of each guest gets; 0.0 for one that wants nothing."""
    shares = iter(fair_shares([claim for contender in contenders for claim in _claims(contender)]))
    return tuple(
        tuple(next(shares) if demand > 0 else 0.0 for demand in contender.demands) for contender in contenders
    )


def _claims(contender: Contender) -> list[Claim]:
    weights = contender.vcpu_weights or (1,) * len(contender.limits)
    parts = [weight * limit for weight, limit in zip(weights, contender.limits, strict=True)]
    total = sum(parts)
    return [
        Claim(frozenset(pcpus), contender.weight * part / total, limit)
        for pcpus, part, limit in zip(contender.pins, parts, contender.limits, strict=True)
        if limit > 0
    ]


def predict_steal_pct(contenders: Sequence[Contender]) -> tuple[tuple[float | None, ...], ...]:
    """Steal of each vCPU of each guest in per cent of elapsed time, two decimals; None where it is idle."""
    return tuple(
        tuple(_steal_pct(demand, share) for demand, share in zip(contender.demands, shares, strict=True))
        for contender, shares in zip(contenders, predict_shares(contenders), strict=True)
    )


def _steal_pct(demand: float, share: float) -> float | None:
    return None if demand == 0 else round(100 * max(0.0, demand - share), 2)
