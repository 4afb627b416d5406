# SPDX-License-Identifier: GPL-2.0-only
"""Findings that a topology allows, with their globs resolved."""

from __future__ import annotations

from lab.plan.labplan import AllowedFinding
from lab.plan.selection import matching
from lab.topology.model import Topology


def plan_allowed(topology: Topology) -> tuple[AllowedFinding, ...]:
    """In the topology's order."""
    return tuple(
        AllowedFinding(
            one.kind, tuple(node.name for node in matching(topology.nodes, one.nodes)), one.pattern
        )
        for one in topology.allow_findings
    )
