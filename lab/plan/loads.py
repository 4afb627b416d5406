# SPDX-License-Identifier: GPL-2.0-only
"""Loads on nodes: what the catalogue's entries become with a topology's parameters."""

from __future__ import annotations

from collections.abc import Sequence

from lab.errors import InputError
from lab.loads.command import Place, render_load
from lab.loads.model import GUEST_IMAGE, SPIN, LoadKind, Metric, Value
from lab.loads.values import load_values
from lab.plan.labplan import LoadMetricPlan, LoadPlan, NetworkPlan
from lab.plan.network import node_address
from lab.plan.selection import matching
from lab.topology.loadspec import LoadSpec
from lab.topology.model import Node, Topology


def plan_loads(topology: Topology, network: NetworkPlan) -> tuple[LoadPlan, ...]:
    """Every load on each of its nodes, in the file's order. Raises InputError where a command cannot be made."""
    addresses = {node.name: node_address(network, index) for index, node in enumerate(topology.nodes)}
    return tuple(
        _plan_load(spec, topology.load_kinds[spec.kind], _place(node, topology.nodes, addresses))
        for spec in topology.loads
        for node in matching(topology.nodes, spec.nodes)
    )


def _place(node: Node, nodes: Sequence[Node], addresses: dict[str, str]) -> Place:
    names = [one.name for one in nodes]
    peer = names[(names.index(node.name) + 1) % len(names)]
    return Place(node.name, node.vcpus, node.memory_mib, addresses[node.name], addresses[peer], addresses)


def _plan_load(spec: LoadSpec, kind: LoadKind, place: Place) -> LoadPlan:
    """`vcpus` stays empty for an unpinned load: affinity to all vCPUs would be something else."""
    if kind.name == SPIN:
        return LoadPlan(spec.name, place.node, SPIN, spec.tasks, spec.vcpus or ())
    values = load_values(kind, spec.parameters)
    try:
        made = render_load(kind, values, place)
    except ValueError as error:
        raise InputError(f"load {spec.name} on {place.node}: kind {kind.name}: {error}") from None
    return LoadPlan(
        name=spec.name,
        node=place.node,
        kind=kind.name,
        tasks=made.tasks,
        vcpus=spec.vcpus or (),
        command=made.words,
        ends=kind.ends,
        image=kind.image,
        parameters=tuple((name, _text(value)) for name, value in values.items()),
        metrics=tuple(plan_metric(one, made.amounts.get(one.name)) for one in made.metrics),
    )


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def plan_metric(metric: Metric, amount: float | None) -> LoadMetricPlan:
    """A metric of the catalogue with the number that its `amount` came to."""
    return LoadMetricPlan(
        name=metric.name,
        unit=metric.unit,
        better=metric.better,
        over_guests=metric.over_guests,
        pattern=metric.pattern,
        take=metric.take,
        parser=metric.parser,
        field=metric.field,
        scale=metric.scale,
        amount=amount,
    )


def node_image(loads: Sequence[LoadPlan], node: str) -> str:
    """The root image that has all loads of a node; every image has what that of guests without loads has."""
    wanted = {load.image for load in loads if load.node == node} - {GUEST_IMAGE}
    return min(wanted, default=GUEST_IMAGE)
