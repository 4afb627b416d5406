# SPDX-License-Identifier: GPL-2.0-only
"""Which pCPUs a lab has for itself while it lives."""

from __future__ import annotations

from lab.plan.labplan import LabPlan


def leased_pcpus(plan: LabPlan) -> tuple[int, ...]:
    """Where its vCPUs and hogs run in any of its phases, sorted.

    Those for housekeeping are not among them, unless something contends there as well: emulator threads of several
    labs may share them. Nothing else should run on a leased one; what did is a doubt (lab.measure.proof).
    """
    vcpus = {pcpu for node in plan.nodes for vcpu in node.vcpus for pcpu in vcpu.pcpus}
    hogs = {pcpu for hog in plan.hogs for pcpu in hog.pcpus}
    changed = {
        pcpu
        for phase in plan.phases
        for change in (*phase.contention, *phase.changes)
        for pcpu in change.pcpus
    }
    return tuple(sorted(vcpus | hogs | changed))
