# SPDX-License-Identifier: GPL-2.0-only
"""Arms as lines of text: what each is, in which order they run, and how long all of it takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from lab.plan.arms import repeat_orders
from lab.plan.knobtext import render_folds, render_knobs
from lab.plan.labplan import ArmPlan, ComparisonPlan, LabPlan
from lab.plan.restarts import plan_restarts
from lab.plan.runtime import estimate_run_ns


def render_arms(plan: LabPlan, comparison: ComparisonPlan) -> Iterator[str]:
    """Every arm, and under it what is changed in it."""
    for arm in comparison.details:
        yield f"{arm.name}: {_role(arm, comparison)}"
        changes = [] if arm.name == comparison.aa_arm else list(_changes(plan, arm))
        for line in changes:
            yield f"  {line}"


def _role(arm: ArmPlan, comparison: ComparisonPlan) -> str:
    if arm.name == comparison.aa_arm:
        return f"the same as {comparison.baseline}, to see how much two equal arms differ"
    return "the baseline" if arm.name == comparison.baseline else f"compared with {comparison.baseline}"


def _changes(plan: LabPlan, arm: ArmPlan) -> Iterator[str]:
    for kernel, number in Counter(kernel for _, kernel in arm.kernels).items():
        nodes = [node for node, other in arm.kernels if other == kernel]
        where = "every guest" if number == len(plan.nodes) else ", ".join(nodes)
        yield f"kernel {kernel} in {where}"
    for verb, loads in (("start", arm.start), ("leave out", arm.stop)):
        if loads:
            yield f"{verb} {', '.join(loads)}"
    if arm.trace is not None:
        yield f"trace {', '.join(arm.trace) or 'nothing'}"
    if arm.lacks_knobs:
        yield "without knobs that its kernel does not have"
    yield from render_knobs(arm.knobs)
    yield from render_folds(arm.knobs)


def render_order(plan: LabPlan, comparison: ComparisonPlan) -> Iterator[str]:
    """Every repeat with its arms in the order in which they run."""
    orders = repeat_orders(plan)
    width = max(len(name) for name, _ in orders)
    how = f"drawn with seed {comparison.seed}" if comparison.order == "random" else "ABBA"
    yield f"{comparison.warmup} of warm-up (w), {comparison.count} counted; {how}"
    for name, arms in orders:
        yield f"{name:>{width}}  {', '.join(arms)}"


def render_time(plan: LabPlan) -> Iterator[str]:
    """How long the run takes, and what makes it so long."""
    measured_ns = sum(phase.duration_ns + phase.settle_ns for phase in plan.phases)
    restarts = sum(len(one) for one in plan_restarts(plan))
    yield f"about {_minutes(estimate_run_ns(plan))}, once everything is built"
    yield f"{len(plan.phases)} windows and settling before them: {_minutes(measured_ns)}"
    if restarts:
        yield f"guests started anew {restarts} times"


def _minutes(duration_ns: int) -> str:
    seconds = round(duration_ns / 1e9)
    return f"{seconds} s" if seconds < 100 else f"{seconds // 60} min {seconds % 60:02} s"
