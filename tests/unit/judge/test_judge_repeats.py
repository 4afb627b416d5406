# SPDX-License-Identifier: GPL-2.0-only
"""What is expected of arms is expected of every repeat, and told once for each arm and subject."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from unit.judge.judging import SECOND_NS, WINDOW_NS, expect_steal, make_plan, make_vcpu

from lab.judge.evaluate import judge
from lab.judge.overrepeats import judge_repeats
from lab.judge.verdict import Outcome, Verdict
from lab.measure.windows import Measurements, PhaseWindow
from lab.plan.labplan import ComparisonPlan, ExpectationPlan, LabPlan, PhasePlan

ARMS = ("base", "on")
P, F, U, S = Outcome.PASSED, Outcome.FAILED, Outcome.UNDECIDED, Outcome.SKIPPED


def arms_plan(*expectations: ExpectationPlan, count: int = 4) -> LabPlan:
    """Two arms, one repeat of warm-up, and the phase `contended` of the topology."""
    phases = tuple(
        PhasePlan(
            f"contended.{arm}.{repeat or 'w1'}",
            WINDOW_NS,
            2 * SECOND_NS,
            (),
            (),
            (),
            arm=arm,
            repeat=repeat,
            template="contended",
            fresh=True,
        )
        for repeat in range(count + 1)
        for arm in ARMS
    )
    plan = make_plan(*expectations)
    return replace(plan, phases=phases, comparison=ComparisonPlan("base", ARMS, None, 5.0, 95.0, 1, count))


def verdicts_of(outcomes: dict[str, list[Outcome]], **said: object) -> list[Verdict]:
    """What comes of these outcomes of the repeats, by arm."""
    expectation = replace(expect_steal(), **said)  # type: ignore[arg-type]

    def judge_one(one: ExpectationPlan) -> Iterator[Verdict]:
        (phase,) = one.phases
        _, arm, repeat = phase.split(".")
        outcome = outcomes[arm][int(repeat) - 1]
        yield Verdict(
            outcome, one.text, "guest1", phase, f"seen {repeat}", "" if outcome is P else f"why {repeat}"
        )

    count = len(next(iter(outcomes.values())))
    return list(judge_repeats(expectation, arms_plan(count=count), judge_one))


def test_one_verdict_for_each_arm() -> None:
    base, on = verdicts_of({"base": [P] * 4, "on": [P] * 4})
    assert (base.phase, on.phase) == ("contended.base", "contended.on")
    assert base.outcome is P
    assert base.observed == "4 of 4 repeats: seen 1 in repeat 1"
    assert base.reason == ""


def test_an_arm_that_is_named_alone_is_judged() -> None:
    (only,) = verdicts_of({"base": [F] * 4, "on": [P] * 4}, arm="on")
    assert (only.phase, only.outcome) == ("contended.on", P)


def test_one_repeat_that_fails_is_one_too_many() -> None:
    base, on = verdicts_of({"base": [P, P, F, U], "on": [P] * 4})
    assert (base.outcome, on.outcome) == (F, P)
    assert base.observed == "1 of 4 repeats: seen 3 in repeat 3"
    assert base.reason == "repeat 3: why 3"


@pytest.mark.parametrize(
    ("outcomes", "outcome", "observed"),
    [
        ([P, U, P, P], P, "3 of 4 repeats: seen 1 in repeat 1"),
        ([P, U, U, P], U, "2 of 4 repeats: seen 2 in repeat 2"),
        ([U, U, U, U], U, "4 of 4 repeats: seen 1 in repeat 1"),
        ([S, S, S, S], S, "4 of 4 repeats: seen 1 in repeat 1"),
        ([S, U, S, S], U, "4 of 4 repeats: seen 1 in repeat 1"),
    ],
)
def test_few_repeats_may_be_left_out(outcomes: list[Outcome], outcome: Outcome, observed: str) -> None:
    base, _ = verdicts_of({"base": outcomes, "on": [P] * 4})
    assert (base.outcome, base.observed) == (outcome, observed)
    assert "why 2" in base.reason or "why 1" in base.reason


def test_few_reasons_are_told() -> None:
    base, _ = verdicts_of({"base": [F] * 8, "on": [P] * 8})
    assert base.reason == "repeat 1: why 1; repeat 2: why 2; repeat 3: why 3; and 5 more"


def test_what_is_about_no_phase_is_judged_once() -> None:
    verdict = Verdict(P, "affinity", "load busy", "", "4 of 4 tasks unchanged")
    expectation = ExpectationPlan("affinity_unchanged", "affinity", load="busy")
    assert list(judge_repeats(expectation, arms_plan(), lambda one: [verdict])) == [verdict]


def test_without_arms_nothing_changes() -> None:
    expectation = expect_steal(maximum=60)
    assert [
        one.phase for one in judge(make_plan(expectation), Measurements((), (), (), (), ())).verdicts
    ] == ["contended"]


def test_measured_windows_are_judged_together() -> None:
    plan = arms_plan(expect_steal(minimum=40, maximum=60))
    counted = [phase.name for phase in plan.phases]
    steal = {"contended.on.3": 80.0}
    measured = Measurements(
        phases=tuple(PhaseWindow(name, 0, WINDOW_NS) for name in counted),
        vcpus=tuple(
            make_vcpu(phase=name, guest_pct=steal.get(name, 50.0), host_pct=steal.get(name, 50.0))
            for name in counted
        ),
        tasks=(),
        affinities=(),
        clocks=(),
    )
    base, on = judge(plan, measured).verdicts
    assert (base.phase, base.outcome) == ("contended.base", P)
    assert (on.phase, on.outcome) == ("contended.on", F)
    assert on.observed.startswith("1 of 4 repeats: guest 80.0 %")
    assert on.reason.startswith("repeat 3: ")
