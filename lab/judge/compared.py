# SPDX-License-Identifier: GPL-2.0-only
"""Whether an arm did what was expected of it against the baseline."""

from __future__ import annotations

from collections.abc import Iterator

from lab.judge.arms import ArmComparison, ArmsReport, compare_arms
from lab.judge.armtable import render_change, render_interval, why_inconclusive
from lab.judge.bounds import Finding
from lab.judge.evidence import Evidence, join_reasons
from lab.judge.leftout import group_left_out
from lab.judge.metrics import main_metric
from lab.judge.verdict import Outcome, Verdict
from lab.plan.labplan import ExpectationPlan
from lab.stats.compare import Change


def evaluate_compare(expectation: ExpectationPlan, evidence: Evidence) -> Iterator[Verdict]:
    """One verdict: PASSED where the comparison came out as one of `expectation.verdicts`, UNDECIDED where it
    is inconclusive, else FAILED.

    The metric is named, or it is what a load is mainly about (lab.judge.metrics.main_metric).
    """
    (phase,), arm = expectation.phases, str(expectation.arm)
    metric = expectation.metric or main_metric(evidence.plan, str(expectation.load))
    found = _find(expectation, compare_arms(evidence), phase, metric, arm)
    yield Verdict(found.outcome, expectation.text, f"{arm}, {metric}", phase, found.observed, found.reason)


def _find(
    expectation: ExpectationPlan, report: ArmsReport | None, phase: str, metric: str, arm: str
) -> Finding:
    one = None if report is None else report.find(phase, metric, arm)
    if report is None or one is None:
        return Finding(Outcome.UNDECIDED, "nothing", _why_nothing(report, phase, metric, arm))
    verdict, observed = one.comparison.verdict, _observe(one)
    if verdict in expectation.verdicts:
        return Finding(Outcome.PASSED, observed)
    if verdict is Change.INCONCLUSIVE:
        reasons = (why_inconclusive(one.comparison), *group_left_out(one.left_out))
        return Finding(Outcome.UNDECIDED, observed, join_reasons(filter(None, reasons)))
    return Finding(Outcome.FAILED, observed, f"{verdict}, not {' or '.join(expectation.verdicts)}")


def _observe(one: ArmComparison) -> str:
    done = one.comparison
    interval = f" {render_interval(done.interval)}" if done.interval is not None else ""
    return f"{done.verdict} ({render_change(done)}{interval}, N {done.n})"


def _why_nothing(report: ArmsReport | None, phase: str, metric: str, arm: str) -> str:
    if report is None:
        return "the recording has no arms to compare"
    known = sorted(
        {one.metric.name for one in (*report.comparisons, *report.aa) if one.metric.phase == phase}
    )
    has = ", ".join(known) or "none"
    return f"{metric} of {arm} was not measured in phase {phase}; compared there: {has}"
