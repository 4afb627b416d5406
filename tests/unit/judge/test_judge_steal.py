# SPDX-License-Identifier: GPL-2.0-only
"""Steal and agreement: every way in which two sides of one quantity can stand to a bound."""

from __future__ import annotations

from dataclasses import replace

import pytest
from judging import (
    expect_steal,
    make_measurements,
    make_plan,
    make_vcpu,
    only_verdict,
    with_phase_doubt,
    with_vcpu,
)

from lab.judge.evaluate import judge
from lab.judge.verdict import Outcome
from lab.measure.windows import DISAGREEMENT_PREFIX
from lab.plan.labplan import ExpectationPlan

WELL = make_measurements()
AGREEMENT = ExpectationPlan("agreement", "agree", (("guest1", 0),), ("contended",), maximum=2.0)


def measured(guest_pct: float | None, host_pct: float | None, *doubts: str):
    return with_vcpu(WELL, make_vcpu(guest_pct=guest_pct, host_pct=host_pct, doubts=doubts))


def test_both_sides_within_is_passed_and_shows_both():
    verdict = only_verdict(expect_steal(40, 60), WELL)
    assert verdict.outcome is Outcome.PASSED
    assert verdict.observed == "guest 49.8 %, host 50.1 % (20.0 s)"
    assert (verdict.subject, verdict.phase, verdict.reason) == ("guest1 vcpu 0", "contended", "")


@pytest.mark.parametrize(
    ("guest_pct", "host_pct", "outcome", "reason"),
    [
        (60.0, 60.0, Outcome.PASSED, ""),
        (40.0, 40.0, Outcome.PASSED, ""),
        (60.1, 60.2, Outcome.FAILED, "both above the 60 % allowed"),
        (38.0, 39.0, Outcome.FAILED, "both below the 40 % required"),
        (59.5, 60.5, Outcome.UNDECIDED, "on the bound"),
        (40.5, 39.5, Outcome.UNDECIDED, "on the bound"),
        (70.0, 80.0, Outcome.UNDECIDED, "70.00 % and 80.00 %, more than 2 % apart"),
        (50.0, 55.0, Outcome.UNDECIDED, DISAGREEMENT_PREFIX),
        (None, 50.0, Outcome.UNDECIDED, "the guest's steal column was not seen"),
        (50.0, None, Outcome.UNDECIDED, "the run delay on the host was not seen"),
        (
            None,
            None,
            Outcome.UNDECIDED,
            "the guest's steal column and the run delay on the host were not seen",
        ),
    ],
)
def test_sides_and_bounds(guest_pct, host_pct, outcome, reason):
    verdict = only_verdict(expect_steal(40, 60), measured(guest_pct, host_pct))
    assert verdict.outcome is outcome
    assert reason in verdict.reason
    assert bool(verdict.reason) is (outcome is not Outcome.PASSED)


def test_sides_beyond_opposite_bounds_of_a_narrow_range_are_undecided():
    verdict = only_verdict(expect_steal(50, 50.5), measured(49.5, 51.0))
    assert verdict.outcome is Outcome.UNDECIDED


def test_the_plan_says_how_far_apart_the_sides_may_be():
    assert only_verdict(expect_steal(40, 60), measured(50, 55), disagreement_pct=6).outcome is Outcome.PASSED


def test_a_missing_side_is_named_in_what_was_observed():
    assert (
        only_verdict(expect_steal(40, 60), measured(None, 50)).observed
        == "guest not seen, host 50.0 % (20.0 s)"
    )


@pytest.mark.parametrize("guest_pct", [50.0, 99.0])
def test_doubts_come_before_anything_else(guest_pct):
    verdict = only_verdict(
        expect_steal(40, 60), measured(guest_pct, guest_pct, "3 samples dropped", "too short")
    )
    assert verdict.outcome is Outcome.UNDECIDED
    assert verdict.reason == "3 samples dropped; too short"
    assert f"guest {guest_pct:.1f} %" in verdict.observed


def test_a_doubt_about_the_phase_counts_for_each_vcpu_and_is_said_once():
    doubted = with_phase_doubt(measured(50, 50, "host disturbed"), "contended", "host disturbed")
    verdict = only_verdict(expect_steal(40, 60), doubted)
    assert (verdict.outcome, verdict.reason) == (Outcome.UNDECIDED, "host disturbed")


def test_a_doubt_about_another_phase_does_not_matter():
    doubted = with_phase_doubt(WELL, "folded", "host disturbed")
    assert only_verdict(expect_steal(40, 60), doubted).outcome is Outcome.PASSED


def test_a_phase_that_was_not_measured():
    cut = replace(WELL, phases=WELL.phases[:1], vcpus=WELL.vcpus[:4])
    verdict = only_verdict(expect_steal(0, 5, phase="folded"), cut)
    assert (verdict.outcome, verdict.observed) == (Outcome.UNDECIDED, "nothing")
    assert verdict.reason == "phase folded was not measured"


def test_a_vcpu_that_was_not_seen():
    cut = replace(WELL, vcpus=WELL.vcpus[1:])
    verdict = only_verdict(expect_steal(40, 60), cut)
    assert verdict.outcome is Outcome.UNDECIDED
    assert verdict.reason == "guest1 vcpu 0 was not seen in phase contended"


def test_an_empty_window_is_no_measurement():
    empty = with_vcpu(WELL, replace(make_vcpu(), elapsed_ns=0))
    verdict = only_verdict(expect_steal(40, 60), empty)
    assert (verdict.outcome, verdict.reason) == (Outcome.UNDECIDED, "the window is empty")


def test_one_verdict_for_each_phase_and_target_phases_first():
    targets = (("guest2", 1), ("guest1", 0))
    expectation = replace(AGREEMENT, targets=targets, phases=("folded", "contended"))
    verdicts = judge(make_plan(expectation), WELL).verdicts
    assert [(verdict.phase, verdict.subject) for verdict in verdicts] == [
        ("folded", "guest2 vcpu 1"),
        ("folded", "guest1 vcpu 0"),
        ("contended", "guest2 vcpu 1"),
        ("contended", "guest1 vcpu 0"),
    ]


def test_agreement_within_its_bound():
    verdict = only_verdict(AGREEMENT, WELL)
    assert verdict.outcome is Outcome.PASSED
    assert verdict.observed == "0.30 % apart (guest 49.8 %, host 50.1 %)"


def test_sides_that_disagree_fail_an_agreement_even_though_that_makes_steal_doubtful():
    apart = measured(50, 55, f"{DISAGREEMENT_PREFIX}: 50.0 % and 55.0 %")
    verdict = only_verdict(AGREEMENT, apart)
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, "5 % is above the 2 % allowed")
    assert only_verdict(expect_steal(40, 60), apart).outcome is Outcome.UNDECIDED


def test_any_other_doubt_makes_an_agreement_undecided():
    doubted = measured(50, 55, f"{DISAGREEMENT_PREFIX}: 50.0 % and 55.0 %", "samples dropped")
    verdict = only_verdict(AGREEMENT, doubted)
    assert (verdict.outcome, verdict.reason) == (Outcome.UNDECIDED, "samples dropped")


def test_agreement_of_one_side_with_nothing():
    verdict = only_verdict(AGREEMENT, measured(None, 50))
    assert verdict.outcome is Outcome.UNDECIDED
    assert verdict.reason == "the guest's steal column was not seen"
