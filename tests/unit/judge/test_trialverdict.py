# SPDX-License-Identifier: GPL-2.0-only
"""What a trial comes to."""

from __future__ import annotations

import pytest

from lab.judge.arms import Metric, Sample, compare_samples
from lab.judge.trialverdict import judge_trial
from lab.judge.verdict import Judgement, Outcome, Verdict
from lab.stats.compare import Rule

WORK = Metric("computing", "busy.throughput", "work/s", "higher")
STEAL = Metric("computing", "steal", "%", "lower")
GOOD = [100.0, 101.0, 99.0, 100.5, 99.5, 100.2]


def report(**patched: list[float]):  # type: ignore[no-untyped-def]
    samples = {}
    for metric in (WORK, STEAL):
        for arm, values in (("base", GOOD), ("patched", patched[metric.name.partition(".")[0]])):
            samples[metric, arm] = Sample(dict(enumerate(values, 1)))
    return compare_samples(samples, "base", ("base", "patched"), None, Rule())


def judged(*outcomes: Outcome) -> Judgement:
    return Judgement(tuple(Verdict(one, "expected", "guest1", "p", "seen") for one in outcomes))


def times(factor: float) -> list[float]:
    return [value * factor for value in GOOD]


@pytest.mark.parametrize(
    ("busy", "steal", "outcomes", "outcome"),
    [
        (times(1), times(1), (), Outcome.PASSED),
        (times(1.5), times(0.5), (Outcome.PASSED,), Outcome.PASSED),
        (times(0.5), times(1), (Outcome.PASSED,), Outcome.FAILED),
        (times(1), times(1), (Outcome.FAILED,), Outcome.FAILED),
        (times(1), times(1), (Outcome.UNDECIDED,), Outcome.UNDECIDED),
        ([50.0, 200.0, 90.0, 130.0, 70.0, 110.0], times(1), (), Outcome.UNDECIDED),
    ],
)
def test_the_worst_decides(
    busy: list[float], steal: list[float], outcomes: tuple[Outcome, ...], outcome: Outcome
) -> None:
    assert judge_trial(report(busy=busy, steal=steal), judged(*outcomes)).outcome is outcome


def test_changes_are_told_with_their_size_and_the_worst_first() -> None:
    verdict = judge_trial(
        report(busy=times(0.5), steal=times(0.5)), judged(Outcome.PASSED, Outcome.FAILED, Outcome.PASSED)
    )
    assert verdict.lines[0] == "regressed: computing/busy.throughput -50.0%"
    assert verdict.lines[1].startswith("improved: computing/steal -5")
    assert verdict.lines[1].endswith(" points")
    assert verdict.lines[2] == "expected of the patched kernel: 2 passed, 1 failed"


def test_without_a_comparison_nothing_is_decided() -> None:
    verdict = judge_trial(None, judged(Outcome.PASSED))
    assert verdict.outcome is Outcome.UNDECIDED
    assert verdict.lines[0] == "nothing could be compared"
