# SPDX-License-Identifier: GPL-2.0-only
"""Arms and repeats as ordinary phases: each arm's phases again and again, interleaved with those of the others.

A repeat has every arm once. What drifts over the time of a run, such as the host's load, then meets all arms alike,
and arms can be compared within a repeat. An arm runs all phases of the topology one after the other, as these may
build on each other, and begins each time from the same state (PhasePlan.fresh).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from lab.plan.folding import plan_folds
from lab.plan.knobs import plan_knobs
from lab.plan.labplan import ArmPlan, ComparisonPlan, KnobSetting, LabPlan, PhasePlan
from lab.topology.armspec import AA_ARM, ArmSpec
from lab.topology.model import Topology
from lab.topology.tracespec import trace_words


def plan_comparison(topology: Topology, lab_id: str) -> ComparisonPlan | None:
    """What is compared; None where the topology has no arms."""
    if not topology.arms:
        return None
    asked = topology.repeats
    details = [_plan_arm(topology, arm, lab_id) for arm in topology.arms]
    baseline = asked.baseline or details[0].name
    if asked.aa:
        details.append(replace(next(one for one in details if one.name == baseline), name=AA_ARM))
    return ComparisonPlan(
        baseline=baseline,
        arms=tuple(one.name for one in details),
        aa_arm=AA_ARM if asked.aa else None,
        smallest_change_pct=asked.smallest_change,
        confidence_pct=asked.confidence,
        seed=asked.seed,
        count=asked.count,
        warmup=asked.warmup,
        order=asked.order,
        details=tuple(details),
    )


def _plan_arm(topology: Topology, arm: ArmSpec, lab_id: str) -> ArmPlan:
    return ArmPlan(
        name=arm.name,
        knobs=_arm_knobs(topology, arm, lab_id),
        kernels=arm_kernels(topology, arm),
        start=arm.start,
        stop=arm.stop,
        trace=trace_words(arm.trace),
        lacks_knobs=arm.lacks_knobs,
    )


def _arm_knobs(topology: Topology, arm: ArmSpec, lab_id: str) -> tuple[KnobSetting, ...]:
    knobs = (
        *plan_knobs(arm.set, topology.nodes, topology.registry, lab_id),
        *plan_folds(arm.fold, topology, lab_id),
    )
    return tuple(replace(one, optional=True) for one in knobs) if arm.lacks_knobs else knobs


def arm_kernels(topology: Topology, arm: ArmSpec) -> tuple[tuple[str, str], ...]:
    """(node, kernel) of every node that boots another kernel in `arm` than its own."""
    if arm.kernel is None:
        return ()
    wanted = [("*", arm.kernel)] if isinstance(arm.kernel, str) else [(x.nodes, x.kernel) for x in arm.kernel]
    found = (
        (node, kernel) for node in topology.nodes for glob, kernel in wanted if fnmatchcase(node.name, glob)
    )
    return tuple((node.name, kernel) for node, kernel in found if kernel != node.kernel)


def used_kernels(topology: Topology) -> set[str]:
    """The kernels that any node boots in any arm."""
    in_arms = {kernel for arm in topology.arms for _, kernel in arm_kernels(topology, arm)}
    return {node.kernel for node in topology.nodes} | in_arms


# ---- the order


def plan_order(comparison: ComparisonPlan) -> tuple[tuple[str, ...], ...]:
    """The arms of every repeat in the order in which they run, those of warm-up first.

    `random` draws each repeat's order by the seed; `abba` has the arms as they stand in the topology, and backwards
    in every second repeat: whatever drifts evenly then cancels out over two repeats.
    """
    repeats = range(comparison.warmup + comparison.count)
    if comparison.order == "abba":
        return tuple(_abba(comparison.arms, number - comparison.warmup) for number in repeats)
    # Of all that a Random does, only random() is promised to stay the same in all versions of Python.
    draw = random.Random(comparison.seed).random
    return tuple(tuple(sorted(comparison.arms, key=lambda _: draw())) for _ in repeats)


def _abba(arms: tuple[str, ...], number: int) -> tuple[str, ...]:
    return arms if number % 2 == 0 else arms[::-1]


def plan_repeats(
    comparison: ComparisonPlan, phases: Mapping[str, Sequence[PhasePlan]]
) -> tuple[PhasePlan, ...]:
    """The phases of every arm, by its name, in every repeat, as they run."""
    kernels = {one.name: one.kernels for one in comparison.details}
    return tuple(
        replace(
            phase,
            name=f"{phase.name}.{arm}.{repeat_name(number, comparison.warmup)}",
            arm=arm,
            repeat=max(0, number - comparison.warmup),
            template=phase.name,
            fresh=place == 0,
            kernels=kernels[arm],
        )
        for number, arms in enumerate(plan_order(comparison), 1)
        for arm in arms
        for place, phase in enumerate(phases[arm])
    )


def repeat_name(number: int, warmup: int) -> str:
    """What repeat `number` of all is called: ``w1`` where it is the first of warm-up, ``1`` after that."""
    return f"w{number}" if number <= warmup else str(number - warmup)


# ---- what a plan with arms is made of


def counted_phases(plan: LabPlan, template: str, arm: str) -> tuple[PhasePlan, ...]:
    """The topology's phase `template` in `arm`, in the order of its counted repeats."""
    return tuple(one for one in plan.phases if one.repeat and (one.template, one.arm) == (template, arm))


def template_phases(plan: LabPlan) -> tuple[PhasePlan, ...]:
    """The phases of the topology without what the baseline changes in them; the plan's own where nothing is
    compared. What is traced in them is None where every arm says that for itself."""
    comparison = plan.comparison
    if comparison is None:
        return plan.phases
    arm = next(one for one in comparison.details if one.name == comparison.baseline)
    silent = next((one.name for one in comparison.details if one.trace is None), None)
    names = dict.fromkeys(str(one.template) for one in plan.phases)
    return tuple(
        replace(
            _template(counted_phases(plan, name, arm.name)[0], arm),
            trace=counted_phases(plan, name, silent)[0].trace if silent else None,
        )
        for name in names
    )


def _template(phase: PhasePlan, arm: ArmPlan) -> PhasePlan:
    assert phase.template is not None
    knobs, start = list(phase.knobs), list(phase.start)
    if phase.fresh:
        for setting in arm.knobs:
            knobs.remove(setting)
        for name in arm.start:
            start.remove(name)
    return replace(
        phase, name=phase.template, knobs=tuple(knobs), start=tuple(start), kernels=(), fresh=False
    )


def repeat_orders(plan: LabPlan) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Every repeat by its name (repeat_name) with its arms in the order in which they run."""
    found: dict[str, list[str]] = {}
    for phase in plan.phases:
        if phase.fresh and phase.arm is not None:
            found.setdefault(phase.name.rpartition(".")[2], []).append(phase.arm)
    return tuple((name, tuple(arms)) for name, arms in found.items())
