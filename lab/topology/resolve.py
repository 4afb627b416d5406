# SPDX-License-Identifier: GPL-2.0-only
"""Counts expanded, defaults applied: from what the file says to the nodes there will be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from lab.strictyaml.findings import Finding, Loc, unknown
from lab.topology.model import Node
from lab.topology.spec import CpuTopologySpec, NodeSpec, TopologySpec

MAX_NODES = 10_000
MIN_MEMORY_MIB = 64
DEFAULT_MEMORY_MIB = 256
DEFAULT_WEIGHT = 100


@dataclass(frozen=True)
class Entry:
    """One entry of `nodes` with its defaults applied: the names it expands to, and the node they all are."""

    index: int
    names: tuple[str, ...]
    node: Node


class NodeTable:
    """All nodes by name, and the globs that match them."""

    def __init__(self, entries: list[Entry]) -> None:
        self.entries = entries
        self._by_name = {name: entry for entry in entries for name in entry.names}
        self._matches: dict[str, list[tuple[str, Entry]]] = {}

    @property
    def names(self) -> list[str]:
        """Every node's name, in the file's order."""
        return list(self._by_name)

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def matching(self, glob: str) -> list[tuple[str, Entry]]:
        """Nodes that `glob` matches: the first of each entry, since those of one entry are alike."""
        if glob not in self._matches:
            self._matches[glob] = list(self._match(glob))
        return self._matches[glob]

    def _match(self, glob: str) -> Iterator[tuple[str, Entry]]:
        if not set(glob) & set("*?["):
            if glob in self._by_name:
                yield glob, self._by_name[glob]
            return
        for entry in self.entries:
            first = next((name for name in entry.names if fnmatchcase(name, glob)), None)
            if first is not None:
                yield first, entry


def said_at(spec: TopologySpec, index: int, field: str) -> Loc:
    """Where `field` of node entry `index` was said: on the node, under defaults, or else the node itself."""
    if getattr(spec.nodes[index], field) is not None:
        return ("nodes", index, field)
    if getattr(spec.defaults.node, field) is not None:
        return ("defaults", "node", field)
    return ("nodes", index)


def _said(spec: TopologySpec, node: NodeSpec, field: str, default: Any = None) -> Any:
    for source in (node, spec.defaults.node):
        value = getattr(source, field)
        if value is not None:
            return value
    return default


def _names(node: NodeSpec) -> tuple[str, ...]:
    if node.count is None:
        return (node.name,)
    return tuple(f"{node.name}{number}" for number in range(1, node.count + 1))


def _memory_mib(spec: TopologySpec, node: NodeSpec) -> int:
    if node.memory is None and node.numa:
        return sum(cell.memory for cell in node.numa)
    memory = _said(spec, node, "memory")
    if memory is not None:
        return int(memory)
    numa = _said(spec, node, "numa", ())
    return sum(cell.memory for cell in numa) or DEFAULT_MEMORY_MIB


def _node(spec: TopologySpec, node: NodeSpec) -> Node:
    vcpus = _said(spec, node, "vcpus", 1)
    only_kernel = next(iter(spec.kernels), "") if len(spec.kernels) == 1 else ""
    return Node(
        name=node.name,
        vcpus=vcpus,
        memory_mib=_memory_mib(spec, node),
        kernel=_said(spec, node, "kernel", only_kernel),
        pinning=_said(spec, node, "pinning", "spread"),
        topology=_said(spec, node, "topology", CpuTopologySpec(sockets=1, cores=vcpus, threads=1)),
        numa=_said(spec, node, "numa", ()),
        weight=_said(spec, node, "weight", DEFAULT_WEIGHT),
        quota_pct=_said(spec, node, "quota"),
    )


def _check_kernel(spec: TopologySpec, entry: Entry) -> Iterator[Finding]:
    loc = said_at(spec, entry.index, "kernel")
    needs: tuple[Loc, ...] = (loc[:2], ("kernels", "*"))
    if entry.node.kernel in spec.kernels:
        return
    if loc[-1] == "kernel":
        yield Finding(loc, unknown("kernel", entry.node.kernel, spec.kernels), needs=needs)
    elif len(spec.kernels) > 1:
        names = ", ".join(spec.kernels)
        yield Finding(loc, f"kernel is missing; say which of the kernels {names} it boots", needs=needs)


def _check_pinning(spec: TopologySpec, entry: Entry) -> Iterator[Finding]:
    pinning, loc = entry.node.pinning, said_at(spec, entry.index, "pinning")
    if pinning == "numa-split" and not entry.node.numa:
        message = f"numa-split needs NUMA cells, but {entry.node.name} has none; give it `numa`"
        yield Finding(loc, message, needs=(("nodes", entry.index), ("defaults",)))
    if isinstance(pinning, str):
        return
    if len(pinning) != entry.node.vcpus:
        message = f"pinning lists {len(pinning)} vCPUs, but {entry.node.name} has {entry.node.vcpus}"
        yield Finding(loc, message, needs=(("nodes", entry.index), ("defaults",)))
    for vcpu, pcpus in enumerate(pinning):
        for message in pcpus_outside(spec, pcpus):
            yield Finding((*loc, vcpu), message, needs=(loc, ("host",)))


def pcpus_outside(spec: TopologySpec, pcpus: tuple[int, ...], who: str = "vCPUs") -> Iterator[str]:
    """What is wrong with taking `pcpus` for contention."""
    allowed, housekeeping = spec.host.pcpus, spec.host.housekeeping or ()
    for pcpu in pcpus:
        if pcpu in housekeeping:
            yield f"pCPU {pcpu} is for housekeeping (host.housekeeping), not for {who}"
        elif allowed is not None and pcpu not in allowed:
            yield f"pCPU {pcpu} is not one of host.pcpus"


def _check_topology(spec: TopologySpec, entry: Entry) -> Iterator[Finding]:
    topology, loc = entry.node.topology, said_at(spec, entry.index, "topology")
    product = topology.sockets * topology.cores * topology.threads
    if product != entry.node.vcpus:
        message = (
            f"{topology.sockets} sockets x {topology.cores} cores x {topology.threads} threads "
            f"make {product} vCPUs, but {entry.node.name} has {entry.node.vcpus}"
        )
        yield Finding(loc, message, needs=(("nodes", entry.index), ("defaults",)))


def _check_numa(spec: TopologySpec, entry: Entry) -> Iterator[Finding]:
    node, loc = entry.node, said_at(spec, entry.index, "numa")
    needs: tuple[Loc, ...] = (("nodes", entry.index), ("defaults",))
    if not node.numa:
        return
    placed = Counter(vcpu for cell in node.numa for vcpu in cell.vcpus)
    for vcpu in sorted(set(placed) | set(range(node.vcpus))):
        if placed[vcpu] > 1:
            yield Finding(loc, f"vCPU {vcpu} stands in more than one NUMA cell", needs=needs)
        elif vcpu >= node.vcpus:
            message = f"a NUMA cell has vCPU {vcpu}, but {node.name} has only {_vcpus(node.vcpus)}"
            yield Finding(loc, message, needs=needs)
        elif vcpu not in placed:
            yield Finding(loc, f"vCPU {vcpu} of {node.name} is in no NUMA cell", needs=needs)
    total = sum(cell.memory for cell in node.numa)
    if total != node.memory_mib:
        message = f"the NUMA cells have {total} MiB together, but {node.name} has {node.memory_mib} MiB"
        yield Finding(loc, message, needs=needs)
    if any(cell.memory == 0 for cell in node.numa):
        yield Finding(loc, "a NUMA cell without memory; at least 1MiB is needed", needs=needs)


def _vcpus(count: int) -> str:
    return "vCPU 0" if count == 1 else f"vCPUs 0-{count - 1}"


def _check_sizes(spec: TopologySpec, entry: Entry) -> Iterator[Finding]:
    node = entry.node
    if node.memory_mib < MIN_MEMORY_MIB:
        message = f"memory is {node.memory_mib} MiB; a guest needs at least {MIN_MEMORY_MIB} MiB"
        yield Finding(said_at(spec, entry.index, "memory"), message)
    if node.quota_pct is not None and not 1 <= node.quota_pct <= 100:
        message = f"quota is {node.quota_pct:g}% of a pCPU for each vCPU; it must be between 1% and 100%"
        yield Finding(said_at(spec, entry.index, "quota"), message)


def _check_names(entries: list[Entry]) -> Iterator[Finding]:
    first: dict[str, int] = {}
    for entry in entries:
        twice = next((name for name in entry.names if name in first), None)
        if twice is not None:
            field = ("nodes", entry.index, "name")
            yield Finding(
                field, f"node {twice!r} already comes from nodes[{first[twice]}]", needs=(field[:2],)
            )
        for name in entry.names:
            first.setdefault(name, entry.index)


def expand_nodes(spec: TopologySpec) -> tuple[NodeTable, list[Finding]]:
    """The nodes of `spec`, and what is wrong with them. An excessive number is not expanded."""
    total = sum(node.count or 1 for node in spec.nodes)
    if total > MAX_NODES:
        return NodeTable([]), [Finding(("nodes",), f"{total} nodes in all; at most {MAX_NODES} are possible")]
    entries = [Entry(index, _names(node), _node(spec, node)) for index, node in enumerate(spec.nodes)]
    findings = list(_check_names(entries))
    for entry in entries:
        for check in (_check_kernel, _check_pinning, _check_topology, _check_numa, _check_sizes):
            findings += check(spec, entry)
    return NodeTable(entries), findings
