# SPDX-License-Identifier: GPL-2.0-only
"""Expectations with every name resolved, and each as one line of text."""

from __future__ import annotations

from dataclasses import replace

from lab.plan.expectationtext import bounds_text, node_targets, nodes_text, subject_text, targets_of
from lab.plan.labplan import ExpectationPlan
from lab.plan.tracedexpectations import plan_traced
from lab.topology.comparespec import CompareExpectation
from lab.topology.contentionspec import PredictionExpectation
from lab.topology.governspec import GOVERNOR_LIMITS, DecisionsExpectation, GovernorExpectation
from lab.topology.model import Topology
from lab.topology.reportspec import ReportedExpectation
from lab.topology.selftestspec import SelftestsExpectation
from lab.topology.spec import (
    EXPECTATION_KINDS,
    AgreementExpectation,
    ExpectationSpec,
    FoldEffectExpectation,
    HostShareExpectation,
    PreemptionExpectation,
    StealExpectation,
    ThroughputExpectation,
)


def plan_expectation(topology: Topology, spec: ExpectationSpec) -> ExpectationPlan:
    """One expectation of `topology`: its globs become the vCPUs or nodes they mean."""
    plan = _plan_expectation(topology, spec)
    said = (getattr(spec, kind) for kind in EXPECTATION_KINDS)
    arm = next((arm for one in said if (arm := getattr(one, "arm", None)) is not None), None)
    return plan if arm is None else replace(plan, arm=arm, text=f"{arm}: {plan.text}")


def _plan_expectation(topology: Topology, spec: ExpectationSpec) -> ExpectationPlan:
    if spec.steal is not None:
        return _steal(topology, spec.steal)
    if spec.agreement is not None:
        return _agreement(topology, spec.agreement)
    if spec.throughput is not None:
        return _throughput(spec.throughput)
    if spec.reported is not None:
        return _reported(topology, spec.reported)
    if spec.selftests is not None:
        return _selftests(spec.selftests)
    if spec.affinity_unchanged is not None:
        return _affinity(spec.affinity_unchanged.load, spec.affinity_unchanged.phase)
    if spec.affinity is not None:
        return _affinity(spec.affinity.load, spec.affinity.phase, unchanged=spec.affinity.unchanged)
    if spec.fold_effect is not None:
        return _fold_effect(topology, spec.fold_effect)
    if spec.host_share is not None:
        return _host_share(topology, spec.host_share)
    if spec.governor is not None:
        return _governor(topology, spec.governor)
    if spec.decisions_match is not None:
        return _decisions_match(topology, spec.decisions_match)
    if spec.prediction is not None:
        return _prediction(topology, spec.prediction)
    if spec.compare is not None:
        return _compare(topology, spec.compare)
    traced = plan_traced(topology, spec)
    if traced is not None:
        return traced
    assert spec.preemptions is not None, "ExpectationSpec has exactly one kind"
    return _preemptions(topology, spec.preemptions)


def _compare(topology: Topology, spec: CompareExpectation) -> ExpectationPlan:
    """plan_expectation says which arm."""
    baseline = topology.repeats.baseline or next((arm.name for arm in topology.arms), "the baseline")
    what = spec.metric if spec.load is None else spec.load
    return ExpectationPlan(
        kind="compare",
        text=f"{what} in {spec.phase} against {baseline}: {' or '.join(spec.verdict)}",
        phases=(spec.phase,),
        load=spec.load,
        metric=spec.metric,
        verdicts=spec.verdict,
    )


def _prediction(topology: Topology, spec: PredictionExpectation) -> ExpectationPlan:
    where = "every phase" if spec.phase is None else spec.phase
    subject = "every busy vCPU" if spec.nodes == "*" else f"every busy vCPU of {spec.nodes}"
    return ExpectationPlan(
        kind="prediction",
        text=f"seen steal against predicted of {subject} in {where}: <= {spec.max:g} % of the window apart",
        targets=targets_of(topology, spec.nodes, None),
        phases=tuple(phase.name for phase in topology.phases) if spec.phase is None else (spec.phase,),
        maximum=spec.max,
    )


def _steal(topology: Topology, spec: StealExpectation) -> ExpectationPlan:
    bounds = bounds_text(spec.min, spec.max, " %")
    return ExpectationPlan(
        kind="steal",
        text=f"steal of {subject_text(spec.nodes, spec.vcpus)} in {spec.phase}: {bounds}",
        targets=targets_of(topology, spec.nodes, spec.vcpus),
        phases=(spec.phase,),
        minimum=spec.min,
        maximum=spec.max,
    )


def _agreement(topology: Topology, spec: AgreementExpectation) -> ExpectationPlan:
    where = "every phase" if spec.phase is None else spec.phase
    bounds = bounds_text(None, spec.max, " % of the window")
    return ExpectationPlan(
        kind="agreement",
        text=f"guest steal against host run delay of {subject_text(spec.nodes, None)} in {where}: {bounds}",
        targets=targets_of(topology, spec.nodes, None),
        phases=tuple(phase.name for phase in topology.phases) if spec.phase is None else (spec.phase,),
        maximum=spec.max,
    )


def _throughput(spec: ThroughputExpectation) -> ExpectationPlan:
    return ExpectationPlan(
        kind="throughput",
        text=f"work of {spec.load} in {spec.phase} over {spec.baseline}: {bounds_text(spec.min, spec.max, '')}",
        phases=(spec.phase, spec.baseline),
        load=spec.load,
        minimum=spec.min,
        maximum=spec.max,
    )


def _reported(topology: Topology, spec: ReportedExpectation) -> ExpectationPlan:
    kind = next(load.kind for load in topology.loads if load.name == spec.load)
    unit = next(one.unit for one in topology.load_kinds[kind].metrics if one.name == spec.metric)
    over = "" if spec.baseline is None else f" over {spec.baseline}"
    bounds = bounds_text(spec.min, spec.max, "" if spec.baseline else f" {unit}")
    expected = "reported" if spec.min is None and spec.max is None else bounds
    return ExpectationPlan(
        kind="reported",
        text=f"{spec.metric} of {spec.load} in {spec.phase}{over}: {expected}",
        phases=(spec.phase,) if spec.baseline is None else (spec.phase, spec.baseline),
        load=spec.load,
        metric=spec.metric,
        minimum=spec.min,
        maximum=spec.max,
    )


def _selftests(spec: SelftestsExpectation) -> ExpectationPlan:
    known = f" but for {', '.join(spec.may_fail)}" if spec.may_fail else ""
    return ExpectationPlan(
        kind="selftests",
        text=f"selftests of {spec.load} in {spec.phase}: none fails{known}",
        phases=(spec.phase,),
        load=spec.load,
        may_fail=spec.may_fail,
    )


def _affinity(load: str, phase: str | None, *, unchanged: bool = True) -> ExpectationPlan:
    where = "from start to end" if phase is None else f"in {phase}"
    return ExpectationPlan(
        kind="affinity_unchanged" if unchanged else "affinity_changed",
        text=f"affinity of {load} {where}: {'unchanged' if unchanged else 'changed'}",
        phases=() if phase is None else (phase,),
        load=load,
    )


def _fold_effect(topology: Topology, spec: FoldEffectExpectation) -> ExpectationPlan:
    maximum_ms = spec.max / 1e6
    return ExpectationPlan(
        kind="fold_effect",
        text=f"time until folded vCPUs of {nodes_text(spec.nodes)} are quiet in {spec.phase}: <= {maximum_ms:g} ms",
        targets=node_targets(topology, spec.nodes),
        phases=(spec.phase,),
        maximum=maximum_ms,
    )


def _host_share(topology: Topology, spec: HostShareExpectation) -> ExpectationPlan:
    bounds = bounds_text(spec.min, spec.max, "")
    return ExpectationPlan(
        kind="host_share",
        text=f"host run time of {nodes_text(spec.nodes)} over {spec.of} in {spec.phase}: {bounds}",
        targets=node_targets(topology, spec.nodes),
        phases=(spec.phase,),
        reference=spec.of,
        minimum=spec.min,
        maximum=spec.max,
    )


def _preemptions(topology: Topology, spec: PreemptionExpectation) -> ExpectationPlan:
    bounds = bounds_text(spec.min_per_s, spec.max_per_s, " per s")
    return ExpectationPlan(
        kind="preemptions",
        text=f"{spec.counter} of {subject_text(spec.nodes, spec.vcpus)} in {spec.phase}: {bounds}",
        targets=targets_of(topology, spec.nodes, spec.vcpus),
        phases=(spec.phase,),
        counter=spec.counter,
        minimum=spec.min_per_s,
        maximum=spec.max_per_s,
    )


def _governor(topology: Topology, spec: GovernorExpectation) -> ExpectationPlan:
    limits = tuple(
        (name, float(said)) for name in GOVERNOR_LIMITS if (said := getattr(spec, name)) is not None
    )
    said = ", ".join(_limit(name, value) for name, value in limits)
    return ExpectationPlan(
        kind="governor",
        text=f"governor of {nodes_text(spec.nodes)} in {spec.phase}: {said}",
        targets=node_targets(topology, spec.nodes),
        phases=(spec.phase,),
        limits=limits,
    )


def _limit(name: str, value: float) -> str:
    if name == "settles_within":
        return f"no step after {value / 1e9:g} s"
    bound, _, way = name.partition("_steps_")
    return f"{'>=' if bound == 'min' else '<='} {value:g} {'step' if value == 1 else 'steps'} {way}"


def _decisions_match(topology: Topology, spec: DecisionsExpectation) -> ExpectationPlan:
    where = "every phase" if spec.phase is None else spec.phase
    return ExpectationPlan(
        kind="decisions_match",
        text=f"decisions of the governor of {nodes_text(spec.nodes)} in {where}: on the right side of its "
        f"thresholds by the recorded steal, within {spec.tolerance:g} %",
        targets=node_targets(topology, spec.nodes),
        phases=tuple(phase.name for phase in topology.phases) if spec.phase is None else (spec.phase,),
        maximum=spec.tolerance,
    )
