# SPDX-License-Identifier: GPL-2.0-only
"""Steps of governors against bounds, and decisions against the recorded steal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging import SECOND_NS, make_measurements, make_plan, make_vcpu, with_vcpu

from lab.judge.document import judgement_json
from lab.judge.evaluate import judge
from lab.judge.layout import WIDTH
from lab.judge.table import render_phase_table
from lab.judge.verdict import Outcome, Verdict
from lab.measure.windows import GovernDecision, Measurements
from lab.plan.labplan import ExpectationPlan, GovernPlan, LabPlan

GOVERN = GovernPlan("guest1", "steal", 4.0, 1.5, SECOND_NS, "last", "mask", 1)


def decision(action: str = "step-down", after_s: float = 1.0, **changes: Any) -> GovernDecision:
    """One of guest1 in `contended`; by default a step that both sides agree with."""
    ratio_pct = {"step-down": 50.0, "step-up": 0.5, "hold": 3.0, "move": 3.0}[action]
    made = GovernDecision(
        node="guest1",
        phase="contended",
        source="steal",
        action=action,
        t_ns=round(after_s * SECOND_NS),
        since_begin_ns=round(after_s * SECOND_NS),
        before=(),
        after=(1,),
        bound=False,
        high_pct=4.0,
        low_pct=1.5,
        seen_pct=ratio_pct,
        guest_pct=ratio_pct,
        host_pct=ratio_pct + 0.1,
    )
    return replace(made, **changes)


def plan_with(*expectations: ExpectationPlan) -> LabPlan:
    plan = make_plan(*expectations)
    phases = tuple(replace(one, govern=(GOVERN,)) for one in plan.phases)
    return replace(plan, phases=phases)


def seen(*decisions: GovernDecision) -> Measurements:
    return replace(make_measurements(), decisions=decisions)


def judged(expectation: ExpectationPlan, measurements: Measurements) -> Verdict:
    (verdict,) = judge(plan_with(expectation), measurements).verdicts
    return verdict


def expect_steps(**limits: float) -> ExpectationPlan:
    return ExpectationPlan(
        "governor", "governor", (("guest1", -1),), ("contended",), limits=tuple(limits.items())
    )


EXPECT_MATCH = ExpectationPlan(
    "decisions_match", "match", (("guest1", -1),), ("contended", "folded"), maximum=3.0
)

STEPS = (
    decision("hold", 0.5),
    decision("step-down", 1.2),
    decision("step-down", 2.4),
    decision("step-up", 4.0),
)


@pytest.mark.parametrize(
    ("limits", "outcome"),
    [
        ({"min_steps_down": 2, "max_steps_down": 2, "min_steps_up": 1, "max_steps_up": 1}, Outcome.PASSED),
        ({"min_steps_down": 3}, Outcome.FAILED),
        ({"max_steps_down": 1}, Outcome.FAILED),
        ({"min_steps_up": 2}, Outcome.FAILED),
        ({"max_steps_up": 0}, Outcome.FAILED),
        ({"settles_within": 4.0 * SECOND_NS}, Outcome.PASSED),
        ({"settles_within": 3.9 * SECOND_NS}, Outcome.FAILED),
    ],
)
def test_steps_against_their_bounds(limits: dict[str, float], outcome: Outcome) -> None:
    verdict = judged(expect_steps(**limits), seen(*STEPS))
    assert verdict.outcome is outcome
    assert verdict.observed == "2 down, 1 up, first after 1.2 s, last after 4.0 s"
    assert bool(verdict.reason) == (outcome is Outcome.FAILED)


def test_a_step_that_came_too_late_is_told() -> None:
    verdict = judged(expect_steps(settles_within=3 * SECOND_NS), seen(*STEPS))
    assert verdict.reason == "step-up after 4.0 s at guest 0.5 %, host 0.6 % (1.5 % .. 4 %), later than 3 s"


def test_no_decisions_are_no_steps_for_an_own_governor() -> None:
    assert judged(expect_steps(min_steps_down=1), seen()).outcome is Outcome.FAILED
    assert judged(expect_steps(max_steps_down=0), seen(decision("hold"))).observed == "no step in 1 decisions"


def test_a_kernels_governor_that_nobody_watched_is_undecided() -> None:
    plan = make_plan(expect_steps(max_steps_down=0))
    (verdict,) = judge(plan, seen()).verdicts
    assert verdict.outcome is Outcome.UNDECIDED and "no file was watched" in verdict.reason


def test_dropped_samples_hide_steps() -> None:
    doubted = with_vcpu(seen(*STEPS), make_vcpu(doubts=("3 samples of guest1 were dropped",)))
    assert judged(expect_steps(min_steps_down=2), doubted).outcome is Outcome.UNDECIDED
    missing = replace(seen(*STEPS), phases=())
    assert "not measured" in judged(expect_steps(min_steps_down=2), missing).reason


# ---- decisions


def test_decisions_that_match() -> None:
    verdict = judged(EXPECT_MATCH, seen(*STEPS))
    assert (verdict.outcome, verdict.observed) == (Outcome.PASSED, "4 of 4 decisions match")


@pytest.mark.parametrize(
    ("action", "right_pct", "wrong_pct"),
    [("step-down", 1.0, 0.9), ("step-up", 4.5, 4.6), ("hold", 7.0, 7.1)],
)
def test_a_wrong_decision_is_wrong_by_more_than_the_tolerance(
    action: str, right_pct: float, wrong_pct: float
) -> None:
    right = decision(action, guest_pct=right_pct, host_pct=right_pct)
    assert judged(EXPECT_MATCH, seen(right)).outcome is Outcome.PASSED
    wrong = decision(action, guest_pct=wrong_pct, host_pct=wrong_pct)
    verdict = judged(EXPECT_MATCH, seen(decision(), wrong))
    assert (verdict.outcome, verdict.observed) == (Outcome.FAILED, "1 of 2 decisions match")
    assert f"{action} after 1.0 s at guest {wrong_pct:.1f} %" in verdict.reason


def test_a_hold_below_the_low_threshold_is_wrong_unless_nothing_was_folded() -> None:
    low = {"low_pct": 10.0, "high_pct": 20.0, "guest_pct": 0.0, "host_pct": 0.0}
    assert judged(EXPECT_MATCH, seen(decision("hold", **low))).outcome is Outcome.FAILED
    bound = judged(EXPECT_MATCH, seen(decision(), decision("hold", bound=True, **low)))
    assert (bound.outcome, bound.observed) == (Outcome.PASSED, "1 of 1 decisions match")


def test_where_the_sides_disagree_nobody_can_tell() -> None:
    torn = decision(guest_pct=50.0, host_pct=0.0)
    assert judged(EXPECT_MATCH, seen(torn)).outcome is Outcome.UNDECIDED
    unseen = decision(guest_pct=None, host_pct=None)
    assert judged(EXPECT_MATCH, seen(unseen)).outcome is Outcome.UNDECIDED
    one_side = decision(guest_pct=50.0, host_pct=None)
    assert judged(EXPECT_MATCH, seen(one_side)).outcome is Outcome.PASSED


def test_hints_and_steps_that_no_core_was_left_for_are_skipped() -> None:
    hint = judged(EXPECT_MATCH, seen(decision(source="host", high_pct=None, low_pct=None)))
    assert hint.outcome is Outcome.SKIPPED and "no threshold" in hint.reason
    bound = judged(EXPECT_MATCH, seen(decision("hold", bound=True)))
    assert bound.outcome is Outcome.SKIPPED and "no core was left" in bound.reason


def test_where_nothing_was_decided_nothing_is_known() -> None:
    verdicts = judge(plan_with(EXPECT_MATCH), seen()).verdicts
    assert {one.outcome for one in verdicts} == {Outcome.UNDECIDED}
    assert {one.reason for one in verdicts} == {"no decision was made"}


def test_only_phases_with_decisions_are_judged() -> None:
    both = seen(decision(), decision(phase="folded"))
    verdicts = judge(plan_with(EXPECT_MATCH), both).verdicts
    assert [one.phase for one in verdicts] == ["contended", "folded"]
    assert judged(EXPECT_MATCH, seen(decision())).phase == "contended"


def test_many_wrong_decisions_are_listed_in_short() -> None:
    wrong = [decision(after_s=n, guest_pct=0.0, host_pct=0.0) for n in range(8)]
    reason = judged(EXPECT_MATCH, seen(*wrong)).reason
    assert reason.count("step-down") == 5 and reason.endswith("and 3 more")


@given(
    st.sampled_from(["step-down", "step-up", "hold"]),
    st.floats(0, 100),
    st.floats(0, 100),
    st.floats(0, 20),
)
def test_more_tolerance_never_makes_a_decision_wrong(
    action: str, guest_pct: float, host_pct: float, tolerance_pct: float
) -> None:
    one = seen(decision(action, guest_pct=guest_pct, host_pct=host_pct))
    rank = {Outcome.FAILED: 0, Outcome.UNDECIDED: 1, Outcome.PASSED: 2}
    strict = judged(replace(EXPECT_MATCH, maximum=tolerance_pct), one).outcome
    lax = judged(replace(EXPECT_MATCH, maximum=tolerance_pct + 5), one).outcome
    assert rank[lax] >= rank[strict]


# ---- report


def test_the_report_has_a_line_for_each_governed_node() -> None:
    hint = decision("move", 3.0, node="guest2", source="host", high_pct=None, low_pct=None, seen_pct=200.0)
    text = render_phase_table(plan_with(), seen(*STEPS, hint))
    assert "  governed source down   up hold   first    last           seen folded\n" in text
    assert "  guest1   steal     2    1    1   1.2 s   4.0 s     3.0 -> 0.5      1\n" in text
    assert "  guest2   host      0    0    0   3.0 s   3.0 s 200.0 -> 200.0      1\n" in text
    assert "wanted to run" in text
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "governed" not in render_phase_table(plan_with(), seen())


def test_the_document_has_decisions() -> None:
    document = judgement_json(plan_with(), seen(STEPS[1]), judge(plan_with(), seen()))
    (one,) = document["decisions"]
    assert (one["node"], one["action"], one["after"], one["guest_pct"]) == ("guest1", "step-down", [1], 50.0)
    assert document["file_changes"] == []
