# SPDX-License-Identifier: GPL-2.0-only
"""Governors: which nodes they govern, by what rule, and which files the probes watch for what they do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from lab.govern.cores import Core, make_cores
from lab.govern.hint import HintGuest
from lab.govern.policy import StealRule
from lab.knobs.model import Registry
from lab.knobs.watchable import watchable_path
from lab.plan.labplan import GovernPlan, NodePlan, WatchPlan
from lab.plan.selection import matching
from lab.topology.governchecks import KERNEL_GOVERNOR
from lab.topology.governspec import DEFAULT_HIGH_PCT, DEFAULT_LOW_PCT, GovernSpec
from lab.topology.model import Node, Topology
from lab.topology.spec import is_knob_path

#: What shows that a governor did something: the mask that tasks keep off.
MASK_KNOB = "avoid_cpus"
#: Mechanisms that can take the first core, too.
_TAKES_FIRST = ("mask", "preferred")


def plan_govern(specs: Iterable[GovernSpec], nodes: Sequence[Node]) -> tuple[GovernPlan, ...]:
    """The governors of one phase, one for each node."""
    return tuple(govern_node(spec, node.name) for spec in specs for node in matching(nodes, spec.nodes))


def govern_node(spec: GovernSpec, node: str) -> GovernPlan:
    """One governor of one node."""
    steal = spec.source == "steal"
    return GovernPlan(
        node=node,
        source=spec.source,
        high_pct=(DEFAULT_HIGH_PCT if spec.high is None else spec.high) if steal else None,
        low_pct=(DEFAULT_LOW_PCT if spec.low is None else spec.low) if steal else None,
        period_ns=spec.period,
        policy=spec.policy or "last",
        by=spec.by,
        min_vcpus=spec.min_vcpus,
    )


def node_cores(node: NodePlan) -> tuple[Core, ...]:
    """The cores of a node."""
    return make_cores(len(node.vcpus), node.threads, [cell.vcpus for cell in node.numa])


def steal_rule(govern: GovernPlan, node: NodePlan) -> StealRule:
    """The rule of a governor whose source is steal."""
    assert govern.high_pct is not None and govern.low_pct is not None, "source is steal"
    return StealRule(node_cores(node), govern.high_pct, govern.low_pct, govern.policy, govern.min_vcpus)


def hint_guest(node: NodePlan, govern: GovernPlan | None) -> HintGuest:
    """A node as the host's hint takes it, before anything is seen of it; None: nobody governs it."""
    return HintGuest(
        cores=node_cores(node),
        pcpus={one.vcpu: one.pcpus for one in node.vcpus},
        busy={},
        weight=node.weight,
        min_vcpus=1 if govern is None else govern.min_vcpus,
        keep_first=govern is not None and govern.by not in _TAKES_FIRST,
    )


def render_govern(govern: GovernPlan) -> str:
    """One governor as a line of text."""
    if govern.source == "host":
        rule = "by the host's hint"
    else:
        policy = "" if govern.policy == "last" else f", policy {govern.policy}"
        rule = f"by steal, {govern.low_pct:g} % .. {govern.high_pct:g} %{policy}"
    bound = "" if govern.min_vcpus == 1 else f", at least {govern.min_vcpus} vCPUs"
    return f"govern {govern.node} {rule}, every {govern.period_ns / 1e9:g} s, folding by {govern.by}{bound}"


# ---- watched files


def plan_watch(topology: Topology, registry: Registry) -> tuple[WatchPlan, ...]:
    """The files that guests' probes watch: those asked for, or the mask where anything governs."""
    asked = topology.measure.watch
    names = asked if asked is not None else (MASK_KNOB,) if _governs(topology) else ()
    return tuple(dict.fromkeys(watch for name in names for watch in _watch(name, registry)))


def _governs(topology: Topology) -> bool:
    settings = [
        *topology.knobs,
        *(knob for phase in topology.phases for knob in phase.set),
        *(knob for arm in topology.arms for knob in arm.set),
    ]
    return any(one.knob == KERNEL_GOVERNOR for one in settings) or any(
        phase.govern for phase in topology.phases
    )


def _watch(name: str, registry: Registry) -> Iterator[WatchPlan]:
    if is_knob_path(name):
        yield WatchPlan(name, name)
        return
    for place in registry.backends.get(name, ()):
        path = watchable_path(place)
        if path is not None:
            yield WatchPlan(name, path, place.complement)
