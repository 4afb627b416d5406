# SPDX-License-Identifier: GPL-2.0-only
"""Pinning policies: on which of the contended pCPUs each vCPU of each guest may run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from lab.errors import HostError
from lab.plan.facts import HostFacts
from lab.topology.model import Node
from lab.units import format_cpulist

Pins = tuple[tuple[int, ...], ...]
#: Gives the pins of a node that is the so-and-so-many-th of its policy, from 0.
_Policy = Callable[[Node, int, Sequence[int], HostFacts], Pins]


def place_nodes(nodes: Sequence[Node], pcpus: Sequence[int], facts: HostFacts) -> tuple[Pins, ...]:
    """Pins of every node. Guests of one policy take their turns among themselves, whatever stands between them.

    Raises HostError where the host does not have what a policy needs: SMT siblings, NUMA nodes.
    """
    turns: dict[str, int] = {}
    placed: list[Pins] = []
    for node in nodes:
        if isinstance(node.pinning, str):
            turn = turns.get(node.pinning, 0)
            turns[node.pinning] = turn + 1
            placed.append(_POLICIES[node.pinning](node, turn, pcpus, facts))
        else:
            placed.append(tuple(node.pinning))
    return tuple(placed)


def _spread(node: Node, turn: int, pcpus: Sequence[int], facts: HostFacts) -> Pins:
    return _around(node.vcpus, pcpus, 0)


def _shift(node: Node, turn: int, pcpus: Sequence[int], facts: HostFacts) -> Pins:
    return _around(node.vcpus, pcpus, turn)


def _stack(node: Node, turn: int, pcpus: Sequence[int], facts: HostFacts) -> Pins:
    return ((pcpus[turn % len(pcpus)],),) * node.vcpus


def _smt_stack(node: Node, turn: int, pcpus: Sequence[int], facts: HostFacts) -> Pins:
    cores = _whole_cores(node, pcpus, facts)
    return _around(node.vcpus, cores[turn % len(cores)], 0)


def _numa_split(node: Node, turn: int, pcpus: Sequence[int], facts: HostFacts) -> Pins:
    places = _numa_places(node, pcpus, facts)
    pins: dict[int, tuple[int, ...]] = {}
    for cell, place in zip(node.numa, places, strict=False):
        pins |= zip(cell.vcpus, _around(len(cell.vcpus), place, 0), strict=True)
    return tuple(pins[vcpu] for vcpu in range(node.vcpus))


def _around(vcpus: int, pcpus: Sequence[int], first: int) -> Pins:
    """vCPU i on pCPU number `first` + i, beginning again behind the last."""
    return tuple((pcpus[(first + vcpu) % len(pcpus)],) for vcpu in range(vcpus))


def _whole_cores(node: Node, pcpus: Sequence[int], facts: HostFacts) -> list[tuple[int, ...]]:
    """Cores with two or more siblings, all of them contended: half a core would be no SMT contention."""
    threaded = [core for core in facts.cores if len(core) > 1]
    whole = [core for core in threaded if set(core) <= set(pcpus)]
    if whole:
        return whole
    if not facts.cores:
        raise _unfit(node, f"it is not known which pCPUs of host {facts.where} are siblings of a core")
    if not threaded:
        raise _unfit(
            node, f"host {facts.where} has no SMT: each of its {len(facts.cores)} cores has one pCPU"
        )
    raise _unfit(
        node,
        f"no core of host {facts.where} has all its siblings among the contended pCPUs "
        f"{format_cpulist(pcpus)} (cores: {' '.join(map(format_cpulist, facts.cores))})",
    )


def _numa_places(node: Node, pcpus: Sequence[int], facts: HostFacts) -> list[tuple[int, ...]]:
    """The contended pCPUs of each of the host's NUMA nodes that has some."""
    inside = (tuple(pcpu for pcpu in each if pcpu in pcpus) for each in facts.numa_nodes)
    places = [each for each in inside if each]
    if len(places) < len(node.numa):
        there = f"{len(places)} of them with contended pCPUs" if facts.numa_nodes else "as far as is known"
        raise _unfit(
            node,
            f"it has {len(node.numa)} NUMA cells, but host {facts.where} has {len(facts.numa_nodes)} NUMA nodes, "
            f"{there}",
        )
    return places


def _unfit(node: Node, problem: str) -> HostError:
    return HostError(
        f"node {node.name}: pinning {node.pinning} is not possible here: {problem}",
        "choose another pinning or other host.pcpus, or another host with --host",
    )


_POLICIES: Mapping[str, _Policy] = MappingProxyType(
    {
        "spread": _spread,
        "shift": _shift,
        "stack": _stack,
        "smt-stack": _smt_stack,
        "numa-split": _numa_split,
    }
)
