# SPDX-License-Identifier: GPL-2.0-only
"""Expectations of traced phases with every name resolved (lab.topology.tracedspec)."""

from __future__ import annotations

from lab.plan.expectationtext import bounds_text, node_targets, nodes_text, subject_text, targets_of
from lab.plan.labplan import ExpectationPlan
from lab.topology.model import Topology
from lab.topology.spec import ExpectationSpec
from lab.topology.tracedspec import (
    DirectedYieldExpectation,
    FairnessExpectation,
    PhysicsExpectation,
    PreemptedByExpectation,
    PreemptedExpectation,
    PreemptedWhileExpectation,
    WakeupLatencyExpectation,
    quantity,
)

_UNITS = {"rate": " per s", "length": " ms", "share": " %"}
_STATISTICS = {"rate": "preemptions", "share": "time preempted", "max": "longest preemption"}
_STATES = {
    "lock": "a holder of a lock",
    "no_preempt": "a section that must not be preempted",
    "irqs_off": "a guest with interrupts off",
    "avoided": "a vCPU that was to be avoided",
}


def plan_traced(topology: Topology, spec: ExpectationSpec) -> ExpectationPlan | None:
    """The plan of an expectation of one of these kinds; None for another."""
    if spec.preempted is not None:
        return _preempted(topology, spec.preempted)
    if spec.wakeup_latency is not None:
        return _wakeup_latency(topology, spec.wakeup_latency)
    if spec.preempted_while is not None:
        return _preempted_while(topology, spec.preempted_while)
    if spec.preempted_by is not None:
        return _preempted_by(topology, spec.preempted_by)
    if spec.directed_yield is not None:
        return _directed_yield(topology, spec.directed_yield)
    if spec.fairness is not None:
        return _fairness(topology, spec.fairness)
    return None if spec.physics is None else _physics(topology, spec.physics)


def _preempted(topology: Topology, spec: PreemptedExpectation) -> ExpectationPlan:
    what = _STATISTICS.get(spec.statistic, f"{spec.statistic} of preemptions")
    bounds = bounds_text(spec.min, spec.max, _UNITS[quantity(spec.statistic)])
    return ExpectationPlan(
        kind="preempted",
        text=f"{what} of {subject_text(spec.nodes, spec.vcpus)} in {spec.phase}: {bounds}",
        targets=targets_of(topology, spec.nodes, spec.vcpus),
        phases=(spec.phase,),
        minimum=spec.min,
        maximum=spec.max,
        statistic=spec.statistic,
    )


def _wakeup_latency(topology: Topology, spec: WakeupLatencyExpectation) -> ExpectationPlan:
    minimum, maximum = (None if bound is None else bound / 1e6 for bound in (spec.min, spec.max))
    subject, bounds = subject_text(spec.nodes, spec.vcpus), bounds_text(minimum, maximum, " ms")
    return ExpectationPlan(
        kind="wakeup_latency",
        text=f"{spec.statistic} of wake-up latency of {subject} in {spec.phase}: {bounds}",
        targets=targets_of(topology, spec.nodes, spec.vcpus),
        phases=(spec.phase,),
        minimum=minimum,
        maximum=maximum,
        statistic=spec.statistic,
    )


def _preempted_while(topology: Topology, spec: PreemptedWhileExpectation) -> ExpectationPlan:
    per_s = spec.min_per_s is not None or spec.max_per_s is not None
    minimum, maximum = (spec.min_per_s, spec.max_per_s) if per_s else (spec.min, spec.max)
    bounds = bounds_text(minimum, maximum, " per s" if per_s else " %")
    return ExpectationPlan(
        kind="preempted_while",
        text=f"preemptions of {nodes_text(spec.nodes)} in {spec.phase} that hit {_STATES[spec.state]}: {bounds}",
        targets=node_targets(topology, spec.nodes),
        phases=(spec.phase,),
        minimum=minimum,
        maximum=maximum,
        statistic=spec.state,
        counter="per_s" if per_s else None,
    )


def _preempted_by(topology: Topology, spec: PreemptedByExpectation) -> ExpectationPlan:
    subject, bounds = subject_text(spec.nodes, spec.vcpus), bounds_text(spec.min, spec.max, " per s")
    return ExpectationPlan(
        kind="preempted_by",
        text=f"preemptions of {subject} by {spec.taker} in {spec.phase}: {bounds}",
        targets=targets_of(topology, spec.nodes, spec.vcpus),
        phases=(spec.phase,),
        minimum=spec.min,
        maximum=spec.max,
        taker=spec.taker,
    )


def _directed_yield(topology: Topology, spec: DirectedYieldExpectation) -> ExpectationPlan:
    bounds = bounds_text(spec.min, spec.max, " %")
    return ExpectationPlan(
        kind="directed_yield",
        text=f"directed yields of {nodes_text(spec.nodes)} in {spec.phase} that succeeded: {bounds}",
        targets=node_targets(topology, spec.nodes),
        phases=(spec.phase,),
        minimum=spec.min,
        maximum=spec.max,
    )


def _fairness(topology: Topology, spec: FairnessExpectation) -> ExpectationPlan:
    return ExpectationPlan(
        kind="fairness",
        text=f"fairness of run time over busy vCPUs of {nodes_text(spec.nodes)} in {spec.phase}: >= {spec.min:g}",
        targets=targets_of(topology, spec.nodes, None),
        phases=(spec.phase,),
        minimum=spec.min,
    )


def _physics(topology: Topology, spec: PhysicsExpectation) -> ExpectationPlan:
    return ExpectationPlan(
        kind="physics",
        text=f"nothing happens in a guest in {spec.phase} while its vCPU does not run on the host",
        targets=node_targets(topology, "*"),
        phases=(spec.phase,),
    )
