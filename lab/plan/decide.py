# SPDX-License-Identifier: GPL-2.0-only
"""From what was asked and what the host is to everything that will be done."""

from __future__ import annotations

from collections.abc import Sequence

from lab.knobs.load import shipped_registry
from lab.knobs.registry import beyond
from lab.plan.arms import plan_comparison, plan_repeats, used_kernels
from lab.plan.artifacts import plan_artifacts
from lab.plan.changes import plan_contention, plan_hogs
from lab.plan.contention import Contender, GuestLoad, predict_steal_pct, vcpu_demands
from lab.plan.expectations import plan_expectation
from lab.plan.facts import HostFacts
from lab.plan.findings import plan_allowed
from lab.plan.folding import plan_folds
from lab.plan.governing import plan_govern, plan_watch
from lab.plan.kernels import KernelCatalogue, plan_kernel
from lab.plan.knobs import plan_knobs
from lab.plan.labplan import (
    ComparisonPlan,
    HogPlan,
    KernelPlan,
    LabPlan,
    LoadPlan,
    MeasurePlan,
    NetworkPlan,
    NodePlan,
    NumaCellPlan,
    PhasePlan,
    VcpuPlan,
)
from lab.plan.loads import node_image, plan_loads
from lab.plan.network import domain_name, node_address, node_mac, plan_network
from lab.plan.placement import Pins, Placement, plan_placement
from lab.plan.predicting import hog_contender, with_predictions
from lab.plan.schedule import plan_schedule
from lab.plan.tracing import Traced, plan_trace
from lab.topology.armchecks import arm_phases
from lab.topology.armspec import AA_ARM
from lab.topology.model import Node, Topology
from lab.topology.spec import PhaseSpec


def plan_lab(topology: Topology, facts: HostFacts, lab_id: str, catalogue: KernelCatalogue) -> LabPlan:
    """Everything that will be done for `topology` on the host that `facts` describe, under the name `lab_id`.

    Pure: equal arguments give equal plans. Raises HostError where the host lacks pCPUs, and InputError for a
    kernel whose patches the catalogue does not know.
    """
    placement = plan_placement(topology, facts)
    network = plan_network(lab_id, len(topology.nodes))
    loads = plan_loads(topology, network)
    kernels = _plan_kernels(topology, catalogue, facts.emulated)
    comparison = plan_comparison(topology, lab_id)
    hogs = plan_hogs(topology.hogs)
    traced = _traced(topology, facts, placement)
    plan = LabPlan(
        name=topology.name,
        lab_id=lab_id,
        host=facts,
        pcpus=placement.pcpus,
        housekeeping=placement.housekeeping,
        overcommit=_overcommit(topology, placement),
        kernels=kernels,
        artifacts=plan_artifacts(facts.where, kernels, loads),
        network=network,
        nodes=_plan_nodes(topology, placement, loads, hogs, network, lab_id),
        knobs=plan_knobs(topology.knobs, topology.nodes, topology.registry, lab_id),
        loads=loads,
        phases=_plan_all_phases(topology, comparison, lab_id, traced),
        measure=MeasurePlan(
            topology.measure.interval // 1_000_000,
            topology.measure.disagreement,
            plan_watch(topology, topology.registry),
        ),
        expectations=tuple(plan_expectation(topology, spec) for spec in topology.expectations),
        registry=beyond(topology.registry, shipped_registry()),
        comparison=comparison,
        hogs=hogs,
        trace=plan_trace(topology.trace, traced),
        allow_findings=plan_allowed(topology),
    )
    return with_predictions(plan)


def _traced(topology: Topology, facts: HostFacts, placement: Placement) -> Traced:
    homes = [pcpu for pins in placement.pins for pcpus in pins for pcpu in set(pcpus)]
    return Traced(
        arch=facts.arch,
        vcpus_on_pcpu=max(map(homes.count, homes)),
        memory_mib=min(node.memory_mib for node in topology.nodes),
        vcpus=max(node.vcpus for node in topology.nodes),
    )


def _overcommit(topology: Topology, placement: Placement) -> float:
    return round(sum(node.vcpus for node in topology.nodes) / len(placement.pcpus), 3)


def _plan_kernels(topology: Topology, catalogue: KernelCatalogue, emulated: bool) -> tuple[KernelPlan, ...]:
    """Kernels that a node boots in any arm, in the topology's order: nothing is built for nobody."""
    used = used_kernels(topology)
    return tuple(
        plan_kernel(topology, name, catalogue, emulated) for name in topology.kernels if name in used
    )


def _plan_all_phases(
    topology: Topology, comparison: ComparisonPlan | None, lab_id: str, traced: Traced
) -> tuple[PhasePlan, ...]:
    """The topology's phases, or those of all arms and repeats."""
    if comparison is None:
        return _plan_phases(topology, topology.phases, lab_id, traced)
    arms = {arm.name: arm for arm in topology.arms}
    arms.setdefault(AA_ARM, arms[comparison.baseline])
    of_arms = {
        name: _plan_phases(topology, arm_phases(topology.phases, arms[name]), lab_id, traced)
        for name in comparison.arms
    }
    return plan_repeats(comparison, of_arms)


def _plan_phases(
    topology: Topology, phases: Sequence[PhaseSpec], lab_id: str, traced: Traced
) -> tuple[PhasePlan, ...]:
    return tuple(
        PhasePlan(
            name=phase.name,
            duration_ns=phase.duration,
            settle_ns=phase.settle,
            knobs=(
                *plan_knobs(phase.set, topology.nodes, topology.registry, lab_id),
                *plan_folds(phase.fold, topology, lab_id),
            ),
            start=phase.start,
            stop=phase.stop,
            until=phase.until,
            govern=plan_govern(phase.govern, topology.nodes),
            contention=plan_contention(phase.contention, topology.nodes),
            changes=plan_schedule(phase.schedule, phase.duration, topology.nodes),
            trace=plan_trace(topology.trace if phase.trace is None else phase.trace, traced, phase.duration),
        )
        for phase in phases
    )


def _plan_nodes(
    topology: Topology,
    placement: Placement,
    loads: Sequence[LoadPlan],
    hogs: Sequence[HogPlan],
    network: NetworkPlan,
    lab_id: str,
) -> tuple[NodePlan, ...]:
    contenders = [*_contenders(topology.nodes, placement, loads), *map(hog_contender, hogs)]
    steal_pct = predict_steal_pct(contenders)
    return tuple(
        NodePlan(
            name=node.name,
            domain=domain_name(lab_id, node.name),
            kernel=node.kernel,
            memory_mib=node.memory_mib,
            vcpus=_plan_vcpus(placement.pins[index], steal_pct[index]),
            emulator_pcpus=placement.housekeeping,
            sockets=node.topology.sockets,
            cores=node.topology.cores,
            threads=node.topology.threads,
            numa=tuple(NumaCellPlan(cell.vcpus, cell.memory) for cell in node.numa),
            weight=node.weight,
            quota_pct=node.quota_pct,
            address=node_address(network, index),
            mac=node_mac(lab_id, index),
            image=node_image(loads, node.name),
        )
        for index, node in enumerate(topology.nodes)
    )


def _plan_vcpus(pins: Pins, steal_pct: Sequence[float | None]) -> tuple[VcpuPlan, ...]:
    return tuple(
        VcpuPlan(vcpu, tuple(sorted(set(pcpus))), steal)
        for vcpu, (pcpus, steal) in enumerate(zip(pins, steal_pct, strict=True))
    )


def _contenders(nodes: Sequence[Node], placement: Placement, loads: Sequence[LoadPlan]) -> list[Contender]:
    of_node: dict[str, list[GuestLoad]] = {node.name: [] for node in nodes}
    for load in loads:
        of_node[load.node].append(GuestLoad(load.tasks, load.vcpus))
    return [
        Contender(
            pins=placement.pins[index],
            demands=vcpu_demands(node.vcpus, of_node[node.name]),
            weight=node.weight,
            cap=1.0 if node.quota_pct is None else min(1.0, node.quota_pct / 100),
        )
        for index, node in enumerate(nodes)
    ]
