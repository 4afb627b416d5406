# SPDX-License-Identifier: GPL-2.0-only
"""Knobs by name and by path."""

from __future__ import annotations

import pytest
from planning import plan

from lab.errors import InputError
from lab.plan.knobs import KNOBS, find_knob, plan_knob
from lab.plan.labplan import KnobCandidate, KnobSetting
from lab.topology.knobnames import CPULIST_KNOBS, KNOWN_KNOBS

PARAVIRT = "/sys/devices/system/cpu/paravirt"


def test_names_are_those_that_a_topology_may_use() -> None:
    assert set(KNOBS) == set(KNOWN_KNOBS)
    assert {name for name, knob in KNOBS.items() if knob.kind == "cpulist"} == set(CPULIST_KNOBS)


def test_a_cpulist_is_written_in_its_shortest_form() -> None:
    place = KnobCandidate("", "file", PARAVIRT, "1-3", "cpulist")
    assert plan_knob("a", "avoid_cpus", "3,1-2") == KnobSetting("a", "avoid_cpus", "1-3", "cpulist", (place,))


def test_an_empty_cpulist_clears() -> None:
    assert plan_knob("a", "avoid_cpus", "").value == ""


def test_a_path_takes_any_text() -> None:
    path = "/sys/kernel/debug/sched/features"
    place = KnobCandidate("", "file", path, "NO_HRTICK", "text")
    assert plan_knob("a", path, "NO_HRTICK") == KnobSetting("a", path, "NO_HRTICK", "text", (place,))


def test_a_misspelt_name() -> None:
    with pytest.raises(InputError, match="unknown knob 'avoid_cpu'; did you mean 'avoid_cpus'"):
        find_knob("avoid_cpu")


def test_a_value_that_is_no_cpulist() -> None:
    with pytest.raises(InputError, match="avoid_cpus of a takes a cpulist: 'x'"):
        plan_knob("a", "avoid_cpus", "x")


def test_globs_and_order() -> None:
    made = plan(
        "nodes: [{name: a, count: 2, vcpus: 2}, {name: b}]\n"
        "knobs:\n"
        "  - {nodes: 'a*', knob: avoid_cpus, value: 1}\n"
        "  - {knob: /proc/sys/kernel/panic, value: 5}\n"
    )
    assert [(setting.node, setting.value) for setting in made.knobs] == [
        ("a1", "1"),
        ("a2", "1"),
        ("a1", "5"),
        ("a2", "5"),
        ("b", "5"),
    ]
