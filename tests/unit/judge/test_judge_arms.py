# SPDX-License-Identifier: GPL-2.0-only
"""Arms against the baseline, from the windows of a run whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import pytest
from comparing import TOPOLOGY, arm_speed, evidence_of, measure_arms, plan_arms

from lab.judge.arms import ArmsReport, Sample, compare_arms, samples_of
from lab.judge.evaluate import judge
from lab.judge.leftout import LeftOut, group_left_out
from lab.judge.verdict import Outcome
from lab.plan.labplan import ExpectationPlan
from lab.stats.compare import Change

SPEEDS = {"feature-off": 1.0, "feature-on": 0.9}
DISTURBED = "host disturbed: make ran for 35 % of pCPU 1"


def report_of(text: str = TOPOLOGY, **more: object) -> ArmsReport:
    report = compare_arms(evidence_of(plan_arms(text), arm_speed(SPEEDS), **more))
    assert report is not None
    return report


def verdicts(report: ArmsReport, metric: str, phase: str) -> dict[str, Change]:
    found = [*report.comparisons, *report.aa]
    return {
        one.arm: one.comparison.verdict
        for one in found
        if (one.metric.name, one.metric.phase) == (metric, phase)
    }


@pytest.mark.parametrize("phase", ["two", "four"])
def test_each_arm_is_compared_with_the_baseline(phase: str) -> None:
    assert verdicts(report_of(), "half.throughput", phase) == {
        "feature-off": Change.SAME,
        "feature-on": Change.REGRESSED,
        "aa": Change.SAME,
    }


def test_phases_and_metrics_are_those_that_were_measured() -> None:
    assert [(one.phase, one.name) for one in report_of().metrics] == [
        ("two", "half.throughput"),
        ("two", "half.fairness"),
        ("two", "steal"),
        ("four", "half.throughput"),
        ("four", "half.fairness"),
        ("four", "rest.throughput"),
        ("four", "rest.fairness"),
        ("four", "steal"),
    ]


def test_the_change_is_of_means_over_counted_repeats_by_pairs() -> None:
    one = report_of().find("two", "half.throughput", "feature-on")
    assert one is not None
    assert one.comparison.paired
    assert one.comparison.n == 6
    assert one.comparison.change == pytest.approx(-10, abs=1.5)
    assert one.comparison.baseline.mean == pytest.approx(2000, rel=0.02)


def test_warm_up_does_not_count() -> None:
    """In which feature-on is ten times as fast."""

    def speed(phase: object, node: str) -> float:
        factor = 10 if phase.repeat == 0 else 1  # type: ignore[attr-defined]
        return factor * arm_speed(SPEEDS)(phase, node)  # type: ignore[arg-type]

    report = compare_arms(evidence_of(plan_arms(), speed))
    assert report is not None
    assert verdicts(report, "half.throughput", "two")["feature-on"] is Change.REGRESSED


def test_drift_is_shared_by_the_arms_of_a_repeat() -> None:
    report = compare_arms(evidence_of(plan_arms(), arm_speed(SPEEDS, drift=0.1)))
    assert report is not None
    assert verdicts(report, "half.throughput", "two")["feature-on"] is Change.REGRESSED
    assert verdicts(report, "half.throughput", "two")["feature-off"] is Change.SAME


def test_steal_is_compared_in_points() -> None:
    def steal(phase: object, _node: str) -> float:
        return 0.5 if phase.arm != "feature-on" else 1.0  # type: ignore[attr-defined]

    one = report_of(steal_pct=steal).find("four", "steal", "feature-on")
    assert one is not None
    assert one.comparison.change == pytest.approx(0.5)
    assert one.comparison.verdict is Change.SAME


def test_steal_is_of_the_guests_that_a_load_keeps_busy() -> None:
    def steal(_phase: object, node: str) -> float:
        return 40.0 if node in ("guest1", "guest2") else 80.0

    report = report_of(steal_pct=steal)
    means = {one.phase: report.baselines[one].summary().mean for one in report.metrics if one.name == "steal"}
    assert means == {"two": pytest.approx(40), "four": pytest.approx(60)}


def test_a_doubted_window_is_left_out_and_told() -> None:
    report = report_of(doubts={"two.feature-on.3": (DISTURBED,)})
    one, other = (report.find("two", "half.throughput", arm) for arm in ("feature-on", "feature-off"))
    assert one is not None and other is not None
    assert one.comparison.n == 5
    assert one.left_out == (LeftOut("feature-on", "repeat 3", DISTURBED),)
    assert other.comparison.n == 6
    assert other.left_out == ()


def test_a_doubted_baseline_costs_its_partner() -> None:
    one = report_of(doubts={"two.baseline.1": (DISTURBED,)}).find("two", "half.throughput", "feature-on")
    assert one is not None
    assert one.comparison.n == 5
    assert one.left_out == (LeftOut("baseline", "repeat 1", DISTURBED),)


def test_a_run_cut_short_says_what_was_not_measured() -> None:
    plan = plan_arms()
    missing = tuple(phase.name for phase in plan.phases if phase.repeat > 2)
    report = compare_arms(evidence_of(plan, arm_speed(SPEEDS), missing=missing))
    assert report is not None
    one = report.find("two", "half.throughput", "feature-on")
    assert one is not None
    assert one.comparison.n == 2
    assert one.comparison.verdict is Change.INCONCLUSIVE
    assert "feature-on, repeat 3: phase two.feature-on.3 was not measured" in map(str, one.left_out)


def test_nothing_measured_is_no_crash() -> None:
    plan = plan_arms()
    evidence = evidence_of(plan, arm_speed(SPEEDS), missing=tuple(one.name for one in plan.phases))
    report = compare_arms(evidence)
    assert report is not None
    assert report.metrics == ()


def test_too_few_pairs_are_compared_without_pairing() -> None:
    odd, even = Sample({1: 1.0, 3: 1.0, 5: 1.0}), Sample({2: 2.0, 4: 2.0, 6: 2.0})
    assert not samples_of(odd, even, "percent").paired
    assert samples_of(odd, odd, "percent").paired
    assert samples_of(odd, Sample({1: 3.0}), "percent").n == 1


def test_pairs_are_not_worth_any_price() -> None:
    """Seven of ten count on either side, but no more than four or five on both."""
    first, second = (dict.fromkeys(range(begin, begin + 7), 1.0) for begin in (1, 4))
    assert not samples_of(Sample(first), Sample(second), "percent").paired
    third = dict.fromkeys(range(3, 10), 1.0)
    assert samples_of(Sample(first), Sample(third), "percent").n == 5


def test_a_change_within_the_labs_noise_is_no_claim() -> None:
    """feature-on is 7 % slower for certain; but an arm equal to the baseline is 6 to 9 % slower, too."""
    noisy = compare_arms(evidence_of(plan_arms(), arm_speed({"feature-on": 0.92, "aa": 0.92}, 0.005)))
    quiet = compare_arms(evidence_of(plan_arms(), arm_speed({"feature-on": 0.92}, 0.005)))
    assert noisy is not None and quiet is not None
    assert verdicts(quiet, "half.throughput", "two")["feature-on"] is Change.REGRESSED
    one = noisy.find("two", "half.throughput", "feature-on")
    assert one is not None
    assert one.comparison.verdict is Change.INCONCLUSIVE
    assert "equal arms may differ by as much" in one.comparison.reason
    assert verdicts(noisy, "half.throughput", "two")["aa"] is Change.REGRESSED


def test_without_arms_there_is_nothing_to_compare() -> None:
    plan = replace(plan_arms(), comparison=None)
    assert compare_arms(evidence_of(plan, arm_speed({}))) is None


def test_one_family_of_comparisons_is_corrected_for_all_of_it() -> None:
    """Two arms and eight metrics; A/A is a family of its own."""
    report = report_of()
    assert len(report.comparisons) == 16
    smallest = min(report.comparisons, key=lambda one: one.comparison.p or 0.0).comparison
    assert smallest.p_adjusted == pytest.approx(16 * (smallest.p or 0.0))


# ---- as expectations


def expect(arm: str, *verdicts_: str, metric: str | None = None, phase: str = "two") -> ExpectationPlan:
    load = None if metric else "half"
    return ExpectationPlan(
        "compare", "as expected", phases=(phase,), load=load, arm=arm, metric=metric, verdicts=verdicts_
    )


@pytest.mark.parametrize(
    ("expectation", "outcome"),
    [
        (expect("feature-on", "regressed"), Outcome.PASSED),
        (expect("feature-on", "improved", "same"), Outcome.FAILED),
        (expect("feature-off", "improved", "same"), Outcome.PASSED),
        (expect("aa", "same"), Outcome.PASSED),
        (expect("feature-on", "regressed", metric="half.throughput"), Outcome.PASSED),
        (expect("feature-on", "regressed", metric="rest.throughput"), Outcome.UNDECIDED),
        (expect("feature-on", "regressed", metric="rest.throughput", phase="four"), Outcome.PASSED),
    ],
)
def test_an_expectation_of_an_arm(expectation: ExpectationPlan, outcome: Outcome) -> None:
    plan = plan_arms(TOPOLOGY, expectation)
    (verdict,) = judge(plan, measure_arms(plan, arm_speed(SPEEDS))).verdicts
    assert verdict.outcome is outcome, verdict
    assert (verdict.reason == "") == (outcome is Outcome.PASSED)


def test_an_inconclusive_comparison_is_undecided_and_says_how_many_more() -> None:
    plan = plan_arms(TOPOLOGY, expect("feature-on", "regressed"))
    (verdict,) = judge(plan, measure_arms(plan, arm_speed({"feature-on": 0.93}, noise=0.08))).verdicts
    assert verdict.outcome is Outcome.UNDECIDED
    assert "more repeats" in verdict.reason
    assert "inconclusive (" in verdict.observed


def test_a_metric_that_is_not_there_says_what_is() -> None:
    plan = plan_arms(TOPOLOGY, expect("feature-on", "same", metric="rest.throughput"))
    (verdict,) = judge(plan, measure_arms(plan, arm_speed(SPEEDS))).verdicts
    assert "compared there: half.fairness, half.throughput, steal" in verdict.reason


def test_a_plan_without_arms_leaves_it_undecided() -> None:
    plan = replace(plan_arms(TOPOLOGY, expect("feature-on", "same")), comparison=None)
    (verdict,) = judge(plan, measure_arms(plan, arm_speed(SPEEDS))).verdicts
    assert verdict.outcome is Outcome.UNDECIDED


def test_a_topology_says_what_is_expected_of_arms() -> None:
    text = f"{TOPOLOGY}expect:\n  - compare: {{phase: two, arm: feature-on, load: half, verdict: [same]}}\n"
    (planned,) = plan_arms(text).expectations
    assert planned.text == "feature-on: half in two against baseline: same"
    assert (planned.kind, planned.arm, planned.phases) == ("compare", "feature-on", ("two",))


# ---- what is left out, in words


def outer(arm: str, repeat: int, pct: int) -> LeftOut:
    return LeftOut(arm, f"repeat {repeat}", f"CPU {repeat % 2} of the host VM waited {pct} % outside; more")


def test_reasons_that_differ_in_numbers_are_told_together() -> None:
    several = [outer("base", 1, 12), outer("on", 2, 11), outer("base", 2, 13), outer("base", 3, 17)]
    several.append(LeftOut("base", "repeat 5", "too short"))
    assert list(group_left_out(several)) == [
        "base, repeats 1-3: CPU 1 of the host VM waited 12 % outside; more, and alike",
        "on, repeat 2: CPU 0 of the host VM waited 11 % outside; more",
        "base, repeat 5: too short",
    ]


def test_recordings_are_named_up_to_a_point() -> None:
    (text,) = group_left_out(LeftOut("new", f"run{number}", "too short") for number in range(9))
    assert text == "new, run0, run1, run2, run3, run4, run5 and 3 more: too short"
