# SPDX-License-Identifier: GPL-2.0-only
"""Loads in plans: commands, images, what must be built."""

from __future__ import annotations

import pytest
from planning import plan as plan_of

from lab.errors import TopologyError
from lab.plan.labplan import LabPlan, parse_plan_json, render_plan_json
from lab.plan.text import render_plan_text

TEXT = """\
nodes: [{name: guest, count: 3, vcpus: 2}, {name: other, vcpus: 4}]
load:
  - {name: hack, kind: hackbench, nodes: "guest*", parameters: {groups: 3}, vcpus: 0-1}
  - {name: prime, kind: sysbench-cpu, nodes: "other"}
  - {name: echo, kind: ping, nodes: "guest[13]", parameters: {to: other}}
  - {name: next, kind: ping, nodes: "*"}
  - {name: busy, nodes: guest1, tasks: 2}
phases:
  - {name: one, start: [hack, busy], until: [hack], duration: 30s}
"""


def plan(text: str = TEXT) -> LabPlan:
    return plan_of(text)


def test_a_command_for_each_node() -> None:
    by_node = {(load.name, load.node): load for load in plan().loads}
    hack = by_node["hack", "guest2"]
    assert hack.command[:5] == ("hackbench", "--groups", "3", "--loops", "100")
    assert (hack.kind, hack.ends, hack.vcpus, hack.tasks) == ("hackbench", "itself", (0, 1), 2)
    assert ("groups", "3") in hack.parameters and ("pipe", "false") in hack.parameters
    assert "--threads=4" in by_node["prime", "other"].command
    busy = by_node["busy", "guest1"]
    assert (busy.command, busy.tasks, busy.ends) == ((), 2, "stopped")


def test_addresses_of_named_nodes_and_of_the_next() -> None:
    made = plan()
    address = {node.name: node.address for node in made.nodes}
    by_node = {(load.name, load.node): load.command[-1] for load in made.loads if load.kind == "ping"}
    assert by_node["echo", "guest3"] == by_node["echo", "guest1"] == address["other"]
    assert [by_node["next", name] for name in ("guest1", "guest2", "guest3", "other")] == [
        address[name] for name in ("guest2", "guest3", "other", "guest1")
    ]


def test_amounts_are_of_the_parameters() -> None:
    (messages,) = [one for one in plan().loads[0].metrics if one.name == "messages"]
    assert (messages.amount, messages.over_guests) == (3 * 400 * 100, "sum")


def test_only_nodes_whose_loads_need_it_get_another_image() -> None:
    made = plan()
    assert {node.name: node.image for node in made.nodes} == {
        "guest1": "guest",
        "guest2": "guest",
        "guest3": "guest",
        "other": "guest-loads",
    }
    images = [one for one in made.artifacts if one.kind == "guest-image"]
    assert [(one.name, one.detail) for one in images] == [
        ("guest-image", "read-only root image that guests share"),
        ("guest-loads", "root image of guests with sysbench-cpu"),
    ]


def test_a_plan_survives_json() -> None:
    assert parse_plan_json(render_plan_json(plan())) == plan()


def test_text_tells_commands_and_what_ends_a_phase() -> None:
    text = render_plan_text(plan())
    assert "hack: hackbench on vCPU 0-1 in 3 guests" in text
    assert "hackbench --groups 3 --loops 100 --datasize 100 --process" in text
    assert "one: at most 30.0 s after 2.0 s to settle" in text and "until the end of hack" in text


def test_two_images_on_one_node_cannot_be() -> None:
    text = (
        "nodes: [{name: guest}]\n"
        "load_definitions: {mine: {doc: x, ends: itself, image: guest-mine, command: mine}}\n"
        "load: [{name: a, kind: mine}, {name: b, kind: stress-ng}]\n"
    )
    with pytest.raises(TopologyError, match=r"load\[1\].kind: needs the root image guest-loads on guest"):
        plan(text)
