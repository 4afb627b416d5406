# SPDX-License-Identifier: GPL-2.0-only
"""Optional knobs that a kernel did not have, by the phase at whose beginning they were to be set."""

from __future__ import annotations

from collections.abc import Iterable

from lab.measure.happened import EventLike
from lab.plan.labplan import ComparisonPlan, KnobSetting, PhasePlan


def skipped_knobs(
    phases: Iterable[PhasePlan],
    name: str,
    events: Iterable[EventLike],
    until_ns: int,
    comparison: ComparisonPlan | None = None,
) -> tuple[str, ...]:
    """Why phase `name` of the plan is not what it was to be: optional settings that were skipped before `until_ns`.

    Undoing a fold that could not be is no loss, and left out; so is all in an arm of `comparison` whose kernel is
    known to lack knobs.
    """
    forgiven = {arm.name for arm in comparison.details if arm.lacks_knobs} if comparison else set()
    asked = {
        _key(one)
        for phase in phases
        if phase.name == name and phase.arm not in forgiven
        for one in phase.knobs
        if one.optional and _matters(one)
    }
    found = (one.data for one in events if one.kind == "knob-skipped" and one.t_ns <= until_ns)
    reasons = (str(data["reason"]) for data in found if (data["node"], data["knob"], data["value"]) in asked)
    return tuple(dict.fromkeys(reasons))


def _key(setting: KnobSetting) -> tuple[str, str, str]:
    return setting.node, setting.knob, setting.value


def _matters(setting: KnobSetting) -> bool:
    return setting.fold is None or bool(setting.fold_vcpus)
