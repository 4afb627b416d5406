# SPDX-License-Identifier: GPL-2.0-only
"""How many VMs of which size on how many pCPUs, as the kernel list writes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from lab.plan.labplan import LabPlan


def render_machinery(plan: LabPlan, nodes: Collection[str] | None = None) -> str:
    """``4 VMs x 2 vCPUs / 2 pCPUs``; guests of several sizes are added up. Of `nodes` alone, where given."""
    sizes = Counter(len(node.vcpus) for node in plan.nodes if nodes is None or node.name in nodes)
    guests = " + ".join(
        f"{_count(number, 'VM')} x {_count(vcpus, 'vCPU')}" for vcpus, number in sizes.items()
    )
    return f"{guests} / {_count(len(plan.pcpus), 'pCPU')}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
