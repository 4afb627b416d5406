# SPDX-License-Identifier: GPL-2.0-only
"""Folding by each mechanism: which knobs are written, where, and that the same can be undone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning import plan

from lab.errors import InputError
from lab.knobs.load import shipped_registry
from lab.knobs.registry import EMPTY
from lab.plan.folding import fold_event, plan_fold, plan_fold_in
from lab.plan.knobs import Owner
from lab.plan.labplan import HOST_SCOPE, KnobSetting, parse_plan_json, render_plan_json
from lab.plan.text import render_plan_text
from lab.topology.spec import FOLD_MECHANISMS

REGISTRY = shipped_registry()
OWNER = Owner("guest1", 4, "lab-x-guest1")

LAB = """\
nodes: [{name: guest, count: 2, vcpus: 4, quota: 50%}]
phases:
  - {name: before, duration: 10s}
  - name: folded
    duration: 10s
    set: [{nodes: guest1, knob: /proc/x, value: 1}]
    fold:
      - {nodes: guest1, vcpus: 2-3, by: mask}
      - {vcpus: "3", by: weight, optional: true}
  - {name: after, duration: 10s, fold: [{vcpus: "", by: weight}]}
"""


def fold(vcpus: tuple[int, ...], mechanism: str, **more: float) -> tuple[KnobSetting, ...]:
    return plan_fold(OWNER, vcpus, mechanism, REGISTRY, **more)  # type: ignore[arg-type]


def raws(setting: KnobSetting) -> set[str]:
    return {one.raw for one in setting.candidates}


@pytest.mark.parametrize(
    ("mechanism", "knob", "folded", "none"),
    [
        ("mask", "avoid_cpus", "2-3", ""),
        ("preferred", "avoid_cpus", "0-1", "0-3"),
        ("hotplug", "cpu_online", "0-1", "0-3"),
        ("cpuset", "isolated_cpus", "2-3", ""),
    ],
)
def test_in_the_guest_one_knob_holds_the_fold(mechanism: str, knob: str, folded: str, none: str) -> None:
    (setting,) = fold((3, 2), mechanism)
    assert (setting.node, setting.knob, setting.fold, setting.fold_node) == (
        "guest1",
        knob,
        mechanism,
        "guest1",
    )
    assert raws(setting) == {folded}
    assert setting.fold_vcpus == (2, 3)
    (undone,) = fold((), mechanism)
    assert (raws(undone), undone.fold_vcpus) == ({none}, ())


def test_the_two_masks_are_different_places_of_one_knob() -> None:
    (mask,), (preferred,) = fold((3,), "mask"), fold((3,), "preferred")
    assert {one.path for one in mask.candidates} == {"/sys/devices/system/cpu/paravirt"}
    assert "/sys/devices/system/cpu/preferred" in {one.path for one in preferred.candidates}
    assert not {one.path for one in mask.candidates} & {one.path for one in preferred.candidates}


@pytest.mark.parametrize(
    ("mechanism", "file", "folded", "staying"),
    [("weight", "cpu.weight", "1", "100"), ("quota", "cpu.max", "1000 100000", "max 100000")],
)
def test_on_the_host_every_vcpu_is_written_those_that_stay_first(
    mechanism: str, file: str, folded: str, staying: str
) -> None:
    settings = fold((0, 2), mechanism)
    assert {one.node for one in settings} == {HOST_SCOPE}
    assert {one.fold_node for one in settings} == {"guest1"}
    assert [(one.candidates[0].path, one.candidates[0].raw) for one in settings] == [
        (f"lab-x-guest1/vcpu1/{file}", staying),
        (f"lab-x-guest1/vcpu3/{file}", staying),
        (f"lab-x-guest1/vcpu0/{file}", folded),
        (f"lab-x-guest1/vcpu2/{file}", folded),
    ]


def test_vcpus_that_are_not_folded_keep_the_nodes_own_quota() -> None:
    settings = fold((3,), "quota", quota_pct=33.4)
    assert [one.candidates[0].raw for one in settings] == ["33000 100000"] * 3 + ["1000 100000"]


def test_a_lab_that_is_planned_knows_its_quota_and_domain() -> None:
    planned = plan(LAB)
    settings = plan_fold_in(planned, "guest2", [3], "quota")
    assert settings[0].candidates[0].raw == "50000 100000"
    assert settings[0].candidates[0].path == f"{planned.node('guest2').domain}/vcpu0/cpu.max"


@pytest.mark.parametrize(
    ("vcpus", "mechanism", "words"),
    [
        ((4,), "mask", "vCPU 4 does not exist (vcpus: 4)"),
        ((0, 1, 2, 3), "cpuset", "would leave it no vCPU (it has 4)"),
        ((0, 1, 2, 3), "weight", "would leave it no vCPU (it has 4)"),
        ((0, 1), "hotplug", "vCPU 0 cannot be taken offline on x86"),
        ((1,), "hotplgu", "unknown folding mechanism 'hotplgu'; did you mean 'hotplug'?"),
    ],
)
def test_what_cannot_be_folded(vcpus: tuple[int, ...], mechanism: str, words: str) -> None:
    with pytest.raises(InputError) as raised:
        fold(vcpus, mechanism)
    assert words in raised.value.message


def test_a_registry_without_the_knob() -> None:
    with pytest.raises(InputError, match="avoid_cpus"):
        plan_fold(OWNER, (1,), "mask", EMPTY)


def test_a_fold_that_the_kernel_may_lack_is_optional() -> None:
    assert all(one.optional for one in plan_fold(OWNER, (1,), "weight", REGISTRY, optional=True))


def test_what_an_event_says_of_it() -> None:
    assert fold_event(fold((2, 3), "mask")[0]) == {"fold": "mask", "fold_node": "guest1", "fold_vcpus": "2-3"}
    assert fold_event(KnobSetting("guest1", "x", "1", "text", ())) == {}


@given(st.sampled_from(FOLD_MECHANISMS), st.integers(2, 8), st.data())
def test_whatever_is_folded_every_write_says_so(mechanism: str, vcpus: int, data: st.DataObject) -> None:
    folded = data.draw(st.sets(st.integers(1, vcpus - 1)))
    settings = plan_fold(Owner("g", vcpus, "d"), folded, mechanism, REGISTRY)
    assert settings
    assert {(one.fold, one.fold_node, one.fold_vcpus) for one in settings} == {
        (mechanism, "g", tuple(sorted(folded)))
    }
    assert all(one.candidates for one in settings)
    if mechanism in ("weight", "quota"):
        assert len({one.candidates[0].path for one in settings}) == vcpus


def test_folds_of_a_phase_come_after_what_it_sets() -> None:
    knobs = plan(LAB).phases[1].knobs
    assert [one.fold for one in knobs] == [None, "mask", *["weight"] * 8]
    assert [one.optional for one in knobs] == [False, False, *[True] * 8]


def test_folds_survive_json() -> None:
    planned = plan(LAB)
    assert parse_plan_json(render_plan_json(planned)) == planned


def test_folds_as_text() -> None:
    lines = [line.strip() for line in render_plan_text(plan(LAB)).splitlines()]
    assert "fold vCPU 2-3 of guest1 by mask: avoid_cpus 2-3" in lines
    assert "fold vCPU 3 of guest2 by weight: vcpu.weight 100, 1, if its kernel has it" in lines
    assert "unfold all of guest1 by weight: vcpu.weight 100" in lines
    assert not [line for line in lines if line.startswith("set avoid_cpus")]
