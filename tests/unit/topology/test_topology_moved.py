# SPDX-License-Identifier: GPL-2.0-only
"""A topology for another host."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lab.plan.decide import plan_lab
from lab.plan.facts import HostFacts
from lab.plan.kernels import KernelCatalogue, PatchSet
from lab.plan.labplan import LabPlan
from lab.topology.decode import read_topology, topology_of
from lab.topology.model import Topology
from lab.topology.moved import Move, move_topology

ROOT = Path(__file__).parents[3]
#: With SMT and two NUMA nodes, so that every shipped topology can be planned.
FACTS = HostFacts(
    "local",
    tuple(range(6)),
    8192,
    emulated=False,
    cores=((0, 1), (2, 3), (4, 5)),
    numa_nodes=((0, 2, 3), (1, 4, 5)),
)
SHIPPED = sorted((ROOT / "topologies").glob("*.yaml"))


def planned(topology: Topology, facts: HostFacts) -> LabPlan:
    entries = [entry for kernel in topology.kernels.values() for entry in kernel.patches]
    catalogue = KernelCatalogue(Path("/lab"), {entry: PatchSet((f"/lab/{entry}",)) for entry in entries})
    return plan_lab(topology, facts, "moved0", catalogue)


def move_of(plan: LabPlan, mapping: dict[int, int]) -> Move:
    def of(pcpus: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sorted(mapping[pcpu] for pcpu in pcpus))

    return Move(
        where="local",
        pcpus=mapping,
        contended=of(plan.pcpus),
        housekeeping=() if plan.housekeeping == plan.pcpus else of(plan.housekeeping),
        pins={node.name: [of(vcpu.pcpus) for vcpu in node.vcpus] for node in plan.nodes},
    )


@pytest.fixture(params=SHIPPED, ids=lambda path: path.stem)
def shipped(request: pytest.FixtureRequest) -> Topology:
    return read_topology(request.param)


def test_what_stays_where_it_is_is_planned_as_before(shipped: Topology):
    plan = planned(shipped, FACTS)
    moved = move_topology(shipped.text, move_of(plan, {pcpu: pcpu for pcpu in FACTS.pcpus}))
    assert planned(topology_of(moved, shipped.path), FACTS) == plan


def test_on_other_pcpus_all_of_it_moves_and_nothing_else_changes(shipped: Topology):
    plan = planned(shipped, FACTS)
    mapping = {pcpu: pcpu + 10 for pcpu in FACTS.pcpus}
    moved = move_topology(shipped.text, move_of(plan, mapping))
    facts = HostFacts("local", tuple(range(20)), 8192, emulated=False)
    again = planned(topology_of(moved, shipped.path), facts)
    back = move_topology(moved, move_of(again, {here: there for there, here in mapping.items()}))
    assert planned(topology_of(back, shipped.path), FACTS) == plan
    assert [vcpu.pcpus for node in again.nodes for vcpu in node.vcpus] == [
        tuple(pcpu + 10 for pcpu in vcpu.pcpus) for node in plan.nodes for vcpu in node.vcpus
    ]
    assert again.pcpus == tuple(pcpu + 10 for pcpu in plan.pcpus)
    assert [one.predicted for one in again.phases] == [one.predicted for one in plan.phases]


TEXT = """\
version: 1
name: own
kernels:
  mine: {source: {debian: "6.12"}, patches: [./mine.patch]}
  other: {source: {debian: "6.12"}}
defaults: {node: {pinning: shift}}
nodes:
  - {name: one, count: 2, vcpus: 2, kernel: mine}
hogs:
  - {name: noise, pcpus: 1}
phases:
  - name: first
    duration: 10s
    contention: [{nodes: one1, vcpus: "0", pinning: "0-1"}]
    schedule:
      - {at: 1s, nodes: one2, pinning: 1}
      - square: {nodes: one1, pinning: ["0", "0-1"], period: 2s}
"""


def test_pinnings_of_all_kinds():
    topology = topology_of(TEXT, Path("/lab/own.yaml"))
    facts = HostFacts("local", (0, 1), 4096, emulated=False)
    plan = planned(topology, facts)
    assert plan.nodes[0].vcpus[0].pcpus != plan.nodes[1].vcpus[0].pcpus
    moved = topology_of(move_topology(TEXT, move_of(plan, {0: 7, 1: 4}), "Moved.\nTwice."), topology.path)
    assert moved.text.startswith("# Moved.\n# Twice.\nversion: 1\n")
    assert moved.host.pcpus == (4, 7)
    assert moved.host.housekeeping is None
    assert [node.pinning for node in moved.nodes] == [((7,), (4,)), ((4,), (7,))]
    assert moved.hogs[0].pcpus == (4,)
    (phase,) = moved.phases
    assert phase.contention[0].pinning == (4, 7)
    assert phase.schedule[0].pinning == (4,)
    assert phase.schedule[1].square is not None
    assert phase.schedule[1].square.pinning == ((7,), (4, 7))


def test_kernels_are_replaced_as_a_whole():
    topology = topology_of(TEXT, Path("/lab/own.yaml"))
    plan = planned(topology, HostFacts("local", (0, 1), 4096, emulated=False))
    move = replace(
        move_of(plan, {0: 0, 1: 1}),
        kernels={"mine": {"source": {"image": "/boot/vmlinuz"}, "cmdline": "a=b"}},
    )
    moved = topology_of(move_topology(TEXT, move), topology.path)
    assert moved.kernels["mine"].source.image == "/boot/vmlinuz"
    assert moved.kernels["mine"].patches == ()
    assert moved.kernels["other"] == topology.kernels["other"]


def test_words_that_yaml_might_take_for_something_else_stay_words():
    text = TEXT.replace("name: own", 'name: own\ndescription: "on"').replace(
        "period: 2s}", 'period: 2s, "on": 25%}'
    )
    topology = topology_of(text, Path("/lab/own.yaml"))
    plan = planned(topology, HostFacts("local", (0, 1), 4096, emulated=False))
    moved = topology_of(move_topology(text, move_of(plan, {0: 0, 1: 1})), topology.path)
    assert moved.description == "on"
    assert moved.phases[0].schedule[1] == topology.phases[0].schedule[1]
