# SPDX-License-Identifier: GPL-2.0-only
"""Optional knobs that a kernel lacks make the phase another one than was asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from measuring import FakeEvent, S, World, plan_for

from lab.measure.derive import measure_recording
from lab.measure.skipped import skipped_knobs
from lab.plan.labplan import ArmPlan, ComparisonPlan, KnobSetting, PhasePlan

MASK = KnobSetting(
    "guest1",
    "avoid_cpus",
    "1",
    "cpulist",
    (),
    optional=True,
    fold="mask",
    fold_node="guest1",
    fold_vcpus=(1,),
)


def phase(name: str, *knobs: KnobSetting) -> PhasePlan:
    return PhasePlan(name, 20 * S, 2 * S, knobs, (), ())


def skipped(t_s: float = 3, setting: KnobSetting = MASK, **data: Any) -> FakeEvent:
    about = {"node": setting.node, "knob": setting.knob, "value": setting.value, "reason": "no such file"}
    return FakeEvent(round(t_s * S), "knob-skipped", {**about, **data})


def test_a_skipped_fold_is_told_of_its_phase() -> None:
    phases = [phase("before"), phase("folded", MASK)]
    assert skipped_knobs(phases, "folded", [skipped()], 5 * S) == ("no such file",)
    assert skipped_knobs(phases, "before", [skipped()], 5 * S) == ()


def test_what_was_set_is_not_skipped() -> None:
    assert skipped_knobs([phase("folded", MASK)], "folded", [], 5 * S) == ()
    assert skipped_knobs([phase("folded", MASK)], "folded", [skipped(value="0")], 5 * S) == ()


def test_what_is_skipped_later_is_of_another_phase() -> None:
    assert skipped_knobs([phase("folded", MASK)], "folded", [skipped(6)], 5 * S) == ()


def test_undoing_what_could_not_be_done_is_no_loss() -> None:
    unfold = replace(MASK, value="", fold_vcpus=())
    assert skipped_knobs([phase("after", unfold)], "after", [skipped(setting=unfold)], 5 * S) == ()


def test_a_knob_that_folds_nothing_counts_too() -> None:
    knob = replace(MASK, fold=None, fold_node=None, fold_vcpus=(), value="")
    assert skipped_knobs([phase("set", knob)], "set", [skipped(setting=knob)], 5 * S) == ("no such file",)


def test_a_recording_has_them() -> None:
    world = World()
    plan = replace(plan_for(world), phases=(phase("contended", MASK),))
    measured = measure_recording(world.recording(skipped(0.1), world.phase_event()), plan)
    assert measured.phases[0].skipped == ("no such file",)


def test_an_arm_whose_kernel_is_known_to_lack_knobs_is_what_it_was_to_be() -> None:
    arms = (ArmPlan("base", lacks_knobs=True), ArmPlan("patched"))
    comparison = ComparisonPlan("base", ("base", "patched"), None, 5, 95, 1, 2, 0, "abba", details=arms)
    for arm, told in (("base", ()), ("patched", ("no such file",))):
        phases = [replace(phase("folded", MASK), arm=arm)]
        assert skipped_knobs(phases, "folded", [skipped()], 5 * S, comparison) == told
