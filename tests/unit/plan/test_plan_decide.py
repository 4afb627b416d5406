# SPDX-License-Identifier: GPL-2.0-only
"""The plan as a whole."""

from __future__ import annotations

import json

from planning import facts, plan, steal_pct

from lab.plan.labplan import (
    LoadPlan,
    MeasurePlan,
    NodePlan,
    NumaCellPlan,
    VcpuPlan,
    parse_plan_json,
    render_plan_json,
)

PAIR = """\
nodes: [{name: g, count: 2, vcpus: 2, memory: 128MiB, weight: 50, quota: 80%}]
load: [{name: busy, tasks: 2}, {name: side, nodes: g1, vcpus: 1}]
phases:
  - name: one
    start: [busy]
    duration: 1s
    settle: 500ms
    set: [{nodes: g2, knob: avoid_cpus, value: "0"}]
  - {name: two, duration: 2s, start: [side], stop: [busy]}
measure: {interval: 50ms, disagreement: 3%}
"""


def test_a_node() -> None:
    made = plan(PAIR)
    assert made.node("g2") == NodePlan(
        name="g2",
        domain="lab-unit0-g2",
        kernel="plain",
        memory_mib=128,
        vcpus=(VcpuPlan(0, (0,), 50.0), VcpuPlan(1, (1,), 50.0)),
        emulator_pcpus=(3,),
        sockets=1,
        cores=2,
        threads=1,
        numa=(),
        weight=50,
        quota_pct=80.0,
        address=made.network.gateway[:-1] + "3",
        mac=made.node("g2").mac,
    )
    assert made.node("g1").mac != made.node("g2").mac


def test_numbers_of_the_whole() -> None:
    made = plan(PAIR)
    assert (made.name, made.lab_id, made.pcpus, made.housekeeping) == ("unit", "unit0", (0, 1, 2), (3,))
    assert made.overcommit == 1.333
    assert made.measure == MeasurePlan(50, 3.0)


def test_loads_stand_once_for_each_node() -> None:
    assert plan(PAIR).loads == (
        LoadPlan("busy", "g1", "spin", 2, ()),
        LoadPlan("busy", "g2", "spin", 2, ()),
        LoadPlan("side", "g1", "spin", 1, (1,)),
    )


def test_phases() -> None:
    one, two = plan(PAIR).phases
    assert (one.name, one.duration_ns, one.settle_ns, one.start, one.stop) == (
        "one",
        1_000_000_000,
        500_000_000,
        ("busy",),
        (),
    )
    assert [(setting.node, setting.value) for setting in one.knobs] == [("g2", "0")]
    assert (two.knobs, two.start, two.stop) == ((), ("side",), ("busy",))


def test_steal_where_all_declared_load_runs() -> None:
    made = plan("nodes: [{name: a, vcpus: 2}, {name: b}]\nload: [{name: l, nodes: a, vcpus: 0}]\n")
    assert steal_pct(made) == {"a": [0.0, None], "b": [None]}


def test_numa_cells() -> None:
    made = plan(
        "nodes: [{name: a, vcpus: 4, topology: {sockets: 2, cores: 2},"
        " numa: [{vcpus: 0-1, memory: 128MiB}, {vcpus: 2-3, memory: 64MiB}]}]\n"
    )
    assert made.node("a").numa == (NumaCellPlan((0, 1), 128), NumaCellPlan((2, 3), 64))


def test_what_a_host_vm_needs_on_top() -> None:
    everywhere = ["probe", "guest-image", "kernel"]
    for where in ("local", "ssh://user@host"):
        assert [
            made.kind for made in plan("nodes: [{name: a}]\n", facts(where=where)).artifacts
        ] == everywhere
    nested = plan("nodes: [{name: a}]\n", facts(where="nested"))
    assert [made.kind for made in nested.artifacts] == ["toolbox", "host-kernel", "host-image", *everywhere]


def test_json_brings_the_same_plan_back() -> None:
    made = plan(PAIR)
    assert parse_plan_json(render_plan_json(made)) == made


def test_json_has_what_programs_rely_on() -> None:
    data = json.loads(render_plan_json(plan(PAIR)))
    assert (data["name"], data["overcommit"]) == ("unit", 1.333)
    assert data["nodes"][0]["name"] == "g1"
    assert data["nodes"][0]["vcpus"][1] == {"vcpu": 1, "pcpus": [1], "predicted_steal_pct": 50.0}
    assert data["artifacts"][-1] == {"kind": "kernel", "name": "plain", "detail": "debian 6.12"}


def test_the_lab_id_decides_all_names() -> None:
    one, other = plan(PAIR, lab_id="one"), plan(PAIR, lab_id="other")
    assert one.network != other.network
    assert not {node.domain for node in one.nodes} & {node.domain for node in other.nodes}
    assert not {node.mac for node in one.nodes} & {node.mac for node in other.nodes}


def test_a_thousand_nodes() -> None:
    made = plan("nodes: [{name: g, count: 1000, vcpus: 4}]\nload: [{name: busy, tasks: 4}]\n", facts(65))
    assert len(made.nodes) == 1000
    assert len({node.address for node in made.nodes}) == len({node.mac for node in made.nodes}) == 1000
    assert {steal for steals in steal_pct(made).values() for steal in steals} == {99.9}
