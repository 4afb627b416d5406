# SPDX-License-Identifier: GPL-2.0-only
"""Whom an expectation is about, and its bounds: as targets and as text."""

from __future__ import annotations

from lab.plan.selection import matching
from lab.topology.model import Topology
from lab.units import format_cpulist

#: (node, vcpu) pairs, or (node, -1) where the whole node is meant.
Targets = tuple[tuple[str, int], ...]


def targets_of(topology: Topology, glob: str, vcpus: tuple[int, ...] | None) -> Targets:
    """The vCPUs that are meant; all of the matching nodes where none are named."""
    return tuple(
        (node.name, vcpu) for node in matching(topology.nodes, glob) for vcpu in vcpus or range(node.vcpus)
    )


def node_targets(topology: Topology, glob: str) -> Targets:
    """The nodes that are meant, each as a whole."""
    return tuple((node.name, -1) for node in matching(topology.nodes, glob))


def nodes_text(glob: str) -> str:
    """Words for the nodes that `glob` means."""
    return "every guest" if glob == "*" else glob


def subject_text(glob: str, vcpus: tuple[int, ...] | None) -> str:
    """Words for the vCPUs that are meant."""
    if vcpus is None:
        return "every vCPU" if glob == "*" else f"every vCPU of {glob}"
    return f"{nodes_text(glob)} vCPU {format_cpulist(vcpus)}"


def bounds_text(minimum: float | None, maximum: float | None, unit: str) -> str:
    """``40 % .. 60 %``, ``>= 40 %``, ``<= 60 %``; ``measured only`` where there is no bound."""
    if minimum is not None and maximum is not None:
        return f"{minimum:g}{unit} .. {maximum:g}{unit}"
    if minimum is not None:
        return f">= {minimum:g}{unit}"
    return "measured only" if maximum is None else f"<= {maximum:g}{unit}"
