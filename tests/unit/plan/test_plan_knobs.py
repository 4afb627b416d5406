# SPDX-License-Identifier: GPL-2.0-only
"""Settings of knobs: every place that may back one, with what is written there."""

from __future__ import annotations

import pytest
from planning import plan

from lab.errors import InputError, TopologyError
from lab.knobs.load import shipped_registry
from lab.plan.knobs import (
    HOST,
    Owner,
    find_knob,
    plan_knob,
    plan_knob_in,
    plan_reading,
    plan_reading_in,
    value_of,
)
from lab.plan.labplan import HOST_SCOPE, KnobCandidate, KnobSetting, parse_plan_json, render_plan_json

PARAVIRT = "/sys/devices/system/cpu/paravirt"
SHIPPED = shipped_registry()
GUEST = Owner("a", vcpus=4, domain="lab-a")
OWN_KNOB = (
    "nodes: [{name: a, vcpus: 2}]\n"
    "knob_definitions:\n"
    "  mine.level: {type: integer, min: 1, max: 9, backends: [{kind: file, path: /sys/mine}]}\n"
)


def one(name: str, value: str, owner: Owner = GUEST, **more: object) -> KnobSetting:
    (setting,) = plan_knob(owner, name, value, SHIPPED, **more)  # type: ignore[arg-type]
    return setting


def raws(setting: KnobSetting) -> dict[str, str]:
    return {candidate.generation: candidate.raw for candidate in setting.candidates}


def test_a_mask_is_written_as_each_generation_keeps_it() -> None:
    setting = one("avoid_cpus", "3,1-2")
    assert (setting.node, setting.value, setting.kind) == ("a", "1-3", "cpulist")
    assert (setting.candidates[0].path, setting.candidates[0].raw) == (PARAVIRT, "1-3")
    assert raws(setting)["steal-governor-v8"] == "0"
    assert raws(setting)["paravirt-cpus-v1"] == "1-3"


def test_an_empty_cpulist_clears() -> None:
    setting = one("avoid_cpus", "")
    assert setting.value == ""
    assert raws(setting)["steal-monitor-v3"] == "0-3"


def test_a_place_that_cannot_hold_the_value_is_left_out_and_said_so() -> None:
    setting = one("steal.period", "1500ms")
    assert setting.value == "1500"
    assert "paravirt-cpus-v1" not in raws(setting)
    (reason,) = setting.left_out
    assert "1500 ms cannot be kept in whole s: it would be 1.5" in reason
    assert raws(one("steal.period", "2s"))["paravirt-cpus-v1"] == "2"


def test_a_value_that_no_place_can_hold_is_refused() -> None:
    with pytest.raises(InputError, match=r"steal.period of a cannot be '1500': no place .* whole s"):
        one("steal.period", "1500", generation="paravirt-cpus-v1")


def test_only_the_generation_asked_for() -> None:
    assert list(raws(one("steal.high", "5%", generation="steal-monitor-v7"))) == ["steal-monitor-v7"]
    with pytest.raises(
        InputError, match=r"unknown generation of steal.high 'steal-monitor-v6'; did you mean"
    ):
        one("steal.high", "5%", generation="steal-monitor-v6")


def test_a_path_takes_any_text() -> None:
    path = "/sys/kernel/debug/sched/features"
    place = KnobCandidate("", "file", path, "NO_HRTICK", "text")
    assert one(path, "NO_HRTICK") == KnobSetting("a", path, "NO_HRTICK", "text", (place,))
    assert one(path, "NO_HRTICK", HOST).node == HOST_SCOPE


def test_a_misspelt_name() -> None:
    with pytest.raises(InputError, match="unknown knob 'avoid_cpu'; did you mean 'avoid_cpus'"):
        find_knob("avoid_cpu", SHIPPED)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("avoid_cpus", "x", "avoid_cpus of a cannot be 'x': 'x' is not a CPU"),
        ("avoid_cpus", "4", "vCPU 4 does not exist"),
        ("avoid_cpus", "0-3", "would leave no vCPU"),
        ("cpu_online", "", "0 vCPUs is less than 1"),
        ("steal.high", "101%", "10100 hundredths of a per cent is more than 10000"),
        ("steal.high", "2s", "'2s' is no percentage"),
        ("steal.enable", "maybe", "neither on nor off"),
        ("steal.policy", "first", "expected last or numa, found 'first'"),
        ("steal.ratio", "1", "can only be read"),
        ("debooster.enable", "1", "is the host's, not of a"),
    ],
)
def test_values_that_cannot_be(name: str, value: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        one(name, value)


def test_a_knob_of_a_guest_is_not_the_hosts() -> None:
    with pytest.raises(InputError, match="is a guest's, not the host's"):
        one("avoid_cpus", "1", HOST)


def test_what_the_host_keeps_for_each_vcpu_is_written_for_each() -> None:
    settings = plan_knob(GUEST, "vcpu.quota", "50%", SHIPPED, vcpus=(1, 3))
    assert [(setting.node, setting.guest, setting.value) for setting in settings] == [
        (HOST_SCOPE, "a", "50")
    ] * 2
    assert [setting.candidates[0].path for setting in settings] == [
        "lab-a/vcpu1/cpu.max",
        "lab-a/vcpu3/cpu.max",
    ]
    assert {setting.candidates[0].raw for setting in settings} == {"50000 100000"}
    assert len(plan_knob(GUEST, "vcpu.weight", "10", SHIPPED)) == 4


def test_only_what_the_host_keeps_for_each_vcpu_takes_vcpus() -> None:
    with pytest.raises(InputError, match="avoid_cpus is not kept for each vCPU"):
        one("avoid_cpus", "1", vcpus=(1,))


def test_reading_writes_nothing_and_converts_what_is_read() -> None:
    (setting,) = plan_reading(GUEST, "steal.period", SHIPPED)
    assert (setting.value, {candidate.raw for candidate in setting.candidates}) == ("", {""})
    in_seconds = next(place for place in setting.candidates if place.generation == "paravirt-cpus-v1")
    assert value_of(in_seconds, "2\n") == "2000"
    (mask,) = plan_reading(GUEST, "avoid_cpus", SHIPPED)
    assert [value_of(place, "0-1") for place in mask.candidates[:2]] == ["0-1", "2-3"]


def test_globs_and_order() -> None:
    made = plan(
        "nodes: [{name: a, count: 2, vcpus: 2}, {name: b}]\n"
        "knobs:\n"
        "  - {nodes: 'a*', knob: avoid_cpus, value: 1}\n"
        "  - {knob: /proc/sys/kernel/panic, value: 5}\n"
        "  - {knob: debooster.enable, value: true, optional: true}\n"
    )
    assert [(setting.node, setting.value, setting.optional) for setting in made.knobs] == [
        ("a1", "1", False),
        ("a2", "1", False),
        ("a1", "5", False),
        ("a2", "5", False),
        ("b", "5", False),
        (HOST_SCOPE, "1", True),
    ]


def test_a_plan_has_what_its_topology_defined_and_nothing_shipped() -> None:
    made = parse_plan_json(render_plan_json(plan(OWN_KNOB)))
    assert list(made.registry.knobs) == ["mine.level"]
    (setting,) = plan_knob_in(made, "a", "mine.level", "9")
    assert (setting.candidates[0].generation, setting.candidates[0].path) == ("own", "/sys/mine")
    with pytest.raises(InputError, match="10 is more than 9"):
        plan_knob_in(made, "a", "mine.level", "10")
    assert plan_reading_in(made, "a", "avoid_cpus")[0].node == "a"


def test_a_plan_without_own_knobs_has_none() -> None:
    made = plan("nodes: [{name: a}]\n")
    assert (made.registry.knobs, made.registry.backends) == ({}, {})


def test_a_guests_weight_is_one_write_on_the_host() -> None:
    made = plan("nodes: [{name: g, vcpus: 2}]\nknobs: [{knob: guest.weight, value: 300}]\n")
    (setting,) = made.knobs
    assert (setting.node, setting.guest, setting.value) == (HOST_SCOPE, "g", "300")
    assert [(one.kind, one.path, one.raw) for one in setting.candidates] == [
        ("domain_cgroup", "lab-unit0-g/cpu.weight", "300")
    ]


def test_a_guests_weight_is_not_kept_for_a_vcpu() -> None:
    with pytest.raises(TopologyError, match="vcpus"):
        plan("nodes: [{name: g, vcpus: 2}]\nknobs: [{knob: guest.weight, value: 300, vcpus: '1'}]\n")
