# SPDX-License-Identifier: GPL-2.0-only
"""Expectations of a topology with arms: what is said of a phase is expected of it in every arm and counted
repeat."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from lab.plan.labplan import ExpectationPlan, LabPlan


def repeat_expectation(expectation: ExpectationPlan, plan: LabPlan) -> Iterator[ExpectationPlan]:
    """`expectation` with the phases that ran in place of those of the topology, once for each arm and repeat.

    Of its own arm alone, where it has one. As it is where nothing is compared, where it is about a
    comparison, and where it is about no phase in particular.
    """
    if plan.comparison is None or expectation.kind == "compare" or not expectation.phases:
        yield expectation
        return
    ran = _phases_that_ran(plan)
    for arm in plan.comparison.arms if expectation.arm is None else (expectation.arm,):
        for repeat in range(1, plan.comparison.count + 1):
            names = tuple(ran.get((phase, arm, repeat), phase) for phase in expectation.phases)
            yield replace(expectation, phases=names)


def _phases_that_ran(plan: LabPlan) -> Mapping[tuple[str | None, str | None, int], str]:
    """By template, arm and repeat."""
    return {(one.template, one.arm, one.repeat): one.name for one in plan.phases if one.repeat}
