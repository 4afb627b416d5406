# SPDX-License-Identifier: GPL-2.0-only
"""How long a run takes, so that nobody starts one by mistake that takes all night.

An estimate: windows and settling are certain, the rest was measured on one machine with an emulated host.
"""

from __future__ import annotations

from dataclasses import dataclass

from lab.plan.labplan import LabPlan
from lab.plan.restarts import plan_restarts

_NS_PER_S = 1_000_000_000


@dataclass(frozen=True)
class _Costs:
    """Seconds: to begin and end a run, for the changes and marks of a phase, to bring an arm back to where all
    begin, to start guests and open shells in them, and for each guest of those."""

    run_s: float
    phase_s: float
    fresh_s: float
    boot_s: float
    guest_s: float


_EMULATED = _Costs(run_s=12, phase_s=0.8, fresh_s=0.6, boot_s=6.5, guest_s=2.5)
_NATIVE = _Costs(run_s=4, phase_s=0.2, fresh_s=0.2, boot_s=2.5, guest_s=0.2)


def estimate_run_ns(plan: LabPlan) -> int:
    """From the first guest's start to the end of the last, everything built; where phases end by their loads, at
    most."""
    costs = _EMULATED if plan.host.emulated or plan.host.where == "nested" else _NATIVE
    certain_ns = sum(phase.settle_ns + phase.duration_ns for phase in plan.phases)
    boots = [len(plan.nodes), *(len(one) for one in plan_restarts(plan) if one)]
    rest_s = (
        costs.run_s
        + costs.phase_s * len(plan.phases)
        + costs.fresh_s * sum(phase.fresh for phase in plan.phases)
        + sum(costs.boot_s + costs.guest_s * guests for guests in boots)
    )
    return certain_ns + round(rest_s * _NS_PER_S)
