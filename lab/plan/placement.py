# SPDX-License-Identifier: GPL-2.0-only
"""Which pCPUs the lab takes, and where each vCPU may run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lab.errors import HostError
from lab.plan.facts import HostFacts
from lab.plan.pinning import Pins as Pins
from lab.plan.pinning import place_nodes
from lab.topology.model import Topology
from lab.units import format_cpulist

#: From this many pCPUs on one is kept for housekeeping without being asked: on two it would be half the host.
PCPUS_FOR_HOUSEKEEPING = 3


@dataclass(frozen=True)
class Placement:
    """`pcpus` are contended, `housekeeping` is for emulator and I/O threads; `pins` has one tuple of pCPUs
    for each vCPU of each node, in the topology's order."""

    pcpus: tuple[int, ...]
    housekeeping: tuple[int, ...]
    pins: tuple[Pins, ...]


def plan_placement(topology: Topology, facts: HostFacts) -> Placement:
    """Place every vCPU of `topology` on a host.

    Raises HostError where the host lacks pCPUs, SMT siblings or NUMA nodes that were asked for.
    """
    _check_online(topology, facts)
    housekeeping = topology.host.housekeeping or _default_housekeeping(topology, facts)
    pcpus = topology.host.pcpus or _default_pcpus(topology, facts, housekeeping)
    return Placement(pcpus, housekeeping or pcpus, place_nodes(topology.nodes, pcpus, facts))


def explicit_pcpus(topology: Topology) -> set[int]:
    """pCPUs that vCPUs or hogs are to run on by their numbers, in any phase."""
    hogs = {pcpu for hog in topology.hogs for pcpu in hog.pcpus}
    return _pinned_pcpus(topology) | hogs | _later_pcpus(topology)


def _later_pcpus(topology: Topology) -> set[int]:
    """Where phases pin vCPUs."""
    changes = (one for phase in topology.phases for one in (*phase.contention, *phase.schedule))
    shapes = (entry.shape for phase in topology.phases for entry in phase.schedule)
    lists = [
        *(one.pinning for one in changes if one.pinning is not None),
        *(pins for shape in shapes if shape is not None for pins in shape.pinning or ()),
    ]
    return {pcpu for pcpus in lists for pcpu in pcpus}


def _pinned_pcpus(topology: Topology) -> set[int]:
    lists = [node.pinning for node in topology.nodes if not isinstance(node.pinning, str)]
    return {pcpu for pins in lists for pcpus in pins for pcpu in pcpus}


def _check_online(topology: Topology, facts: HostFacts) -> None:
    for what, asked in (
        ("host.pcpus", topology.host.pcpus or ()),
        ("host.housekeeping", topology.host.housekeeping or ()),
        ("a node's pinning", _pinned_pcpus(topology)),
        ("a hog", {pcpu for hog in topology.hogs for pcpu in hog.pcpus}),
        ("a phase's pinning", _later_pcpus(topology)),
    ):
        missing = set(asked) - set(facts.pcpus)
        if missing:
            raise _lacking(topology, facts, f"{what} names pCPU {format_cpulist(missing)}")


def _lacking(topology: Topology, facts: HostFacts, problem: str) -> HostError:
    online = format_cpulist(facts.pcpus) or "none"
    return HostError(
        f"{topology.path}: {problem}, but host {facts.where} has pCPUs {online}",
        "change `host` in the topology, or choose another host with --host",
    )


def _default_housekeeping(topology: Topology, facts: HostFacts) -> tuple[int, ...]:
    """The last pCPU that nobody asked for; empty where the host is small or everything is taken."""
    asked = explicit_pcpus(topology) | set(topology.host.pcpus or ())
    free = sorted(set(facts.pcpus) - asked)
    return (free[-1],) if free and len(facts.pcpus) >= PCPUS_FOR_HOUSEKEEPING else ()


def _default_pcpus(topology: Topology, facts: HostFacts, housekeeping: Iterable[int]) -> tuple[int, ...]:
    left = tuple(sorted(set(facts.pcpus) - set(housekeeping)))
    if not left:
        raise _lacking(topology, facts, "nothing is left for vCPUs beside housekeeping")
    return left
