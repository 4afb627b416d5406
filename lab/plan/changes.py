# SPDX-License-Identifier: GPL-2.0-only
"""Changes of contention: from what was asked to single changes, and the writes that carry them out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from lab.plan.knobs import owner_of, plan_knob, registry_of
from lab.plan.labplan import ChangePlan, HogPlan, KnobSetting, LabPlan
from lab.plan.selection import matching
from lab.topology.contentionspec import ContentionSpec, HogSpec
from lab.topology.model import Node
from lab.units import format_cpulist

#: The knobs that changes are written to. Folding by quota writes the second one, too.
WEIGHT_KNOB, QUOTA_KNOB = "guest.weight", "vcpu.quota"


def plan_hogs(specs: Iterable[HogSpec]) -> tuple[HogPlan, ...]:
    """The hogs of a topology."""
    return tuple(
        HogPlan(one.name, one.pcpus, one.duty, one.period, one.weight, one.realtime) for one in specs
    )


def plan_contention(specs: Iterable[ContentionSpec], nodes: Sequence[Node]) -> tuple[ChangePlan, ...]:
    """What a phase changes at its start."""
    return tuple(change for spec in specs for change in plan_change(spec, nodes, 0))


def plan_run(kind: Literal["start", "stop"], names: Iterable[str], at_ns: int) -> Iterator[ChangePlan]:
    """Loads and hogs that start or stop."""
    return (ChangePlan(kind, name, at_ns=at_ns) for name in names)


def plan_change(spec: ContentionSpec, nodes: Sequence[Node], at_ns: int) -> Iterator[ChangePlan]:
    """One entry: every node that its glob matches, or its hog."""
    if spec.hog is not None:
        yield ChangePlan("duty", spec.hog, spec.duty, at_ns=at_ns)
        return
    for node in matching(nodes, spec.nodes):
        vcpus = tuple(range(node.vcpus)) if spec.vcpus is None else spec.vcpus
        if spec.weight is not None:
            yield ChangePlan("weight", node.name, spec.weight, at_ns=at_ns)
        if spec.quota is not None:  # the knob takes whole per cents
            yield ChangePlan("quota", node.name, max(1, round(spec.quota)), vcpus, at_ns=at_ns)
        if spec.pinning is not None:
            yield ChangePlan("pin", node.name, None, vcpus, spec.pinning, at_ns)


def change_settings(plan: LabPlan, change: ChangePlan) -> tuple[KnobSetting, ...]:
    """The writes of a change of weight or quota; none for the others, which are no knobs."""
    if change.kind == "weight":
        return plan_knob(owner_of(plan, change.target), WEIGHT_KNOB, f"{change.value:g}", registry_of(plan))
    if change.kind == "quota":
        owner, registry = owner_of(plan, change.target), registry_of(plan)
        return plan_knob(owner, QUOTA_KNOB, f"{change.value:g}", registry, vcpus=change.vcpus)
    return ()


def render_hog(hog: HogPlan) -> str:
    """One hog as a line of text."""
    what = "busy" if hog.duty_pct == 100 else f"{hog.duty_pct:g} % busy every {hog.period_ns / 1e6:g} ms"
    weight = "" if hog.weight == 100 else f", weight {hog.weight}"
    first = ", before all others" if hog.realtime else ""
    return f"{hog.name}: hog on pCPU {format_cpulist(hog.pcpus)}, {what}{weight}{first}"


def render_change(change: ChangePlan) -> str:
    """One change as text."""
    if change.kind in ("start", "stop"):
        return f"{change.kind} {change.target}"
    if change.kind == "duty":
        return f"duty of {change.target} {change.value:g} %"
    if change.kind == "weight":
        return f"weight of {change.target} {change.value:g}"
    whose = f"{change.target} vCPU {format_cpulist(change.vcpus)}"
    if change.kind == "quota":
        return f"quota of {whose} {change.value:g} %"
    return f"pin {whose} to pCPU {format_cpulist(change.pcpus)}"
