# SPDX-License-Identifier: GPL-2.0-only
"""A plan whose kernel was replaced: whatever that one lacks is skipped, and what was expected of it with it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from lab.plan.labplan import KnobSetting, LabPlan


def ease_knobs(plan: LabPlan, kernel: str) -> LabPlan:
    """`plan` with every setting of guests that boot `kernel`, in any phase, optional."""
    nodes = {node.name for node in plan.nodes if node.kernel == kernel}
    nodes |= {node for phase in plan.phases for node, booted in phase.kernels if booted == kernel}

    def eased(settings: Iterable[KnobSetting]) -> tuple[KnobSetting, ...]:
        return tuple(replace(one, optional=True) if one.node in nodes else one for one in settings)

    comparison = plan.comparison
    if comparison is not None:
        details = tuple(replace(arm, knobs=eased(arm.knobs)) for arm in comparison.details)
        comparison = replace(comparison, details=details)
    return replace(
        plan,
        knobs=eased(plan.knobs),
        phases=tuple(replace(phase, knobs=eased(phase.knobs)) for phase in plan.phases),
        comparison=comparison,
    )
