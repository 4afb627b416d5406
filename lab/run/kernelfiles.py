# SPDX-License-Identifier: GPL-2.0-only
"""Kernels that guests boot, with the initramfs that goes with each: all are put in place before the first boot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lab.plan.labplan import LabPlan, NodePlan
from lab.run.ports import Host, Launch


@dataclass(frozen=True)
class KernelFiles:
    """Paths on the host of a kernel and of the initramfs with which a guest boots it."""

    kernel: str
    initrd: str


#: By node and kernel.
KernelTable = Mapping[tuple[str, str], KernelFiles]


def booted_kernels(plan: LabPlan) -> Iterator[tuple[NodePlan, str]]:
    """Every node with every kernel that it boots in any phase, its own first."""
    others: dict[str, dict[str, None]] = {node.name: {node.kernel: None} for node in plan.nodes}
    for phase in plan.phases:
        for name, kernel in phase.kernels:
            others[name][kernel] = None
    for node in plan.nodes:
        for kernel in others[node.name]:
            yield node, kernel


def initrd_name(node: NodePlan, kernel: str) -> str:
    """The file in the lab's directory on the host: a kernel's modules are in it."""
    return f"{node.name}.initrd" if kernel == node.kernel else f"{node.name}.{kernel}.initrd"


def kernel_table(host: Host, plan: LabPlan, launch: Launch, remote: str) -> KernelTable:
    """Every kernel that any node boots, staged. `remote` is the lab's directory on the host."""
    booted = list(booted_kernels(plan))
    staged = {name: host.stage(launch.kernels[name]) for name in dict.fromkeys(name for _, name in booted)}
    return {
        (node.name, kernel): KernelFiles(staged[kernel], f"{remote}/{initrd_name(node, kernel)}")
        for node, kernel in booted
    }
