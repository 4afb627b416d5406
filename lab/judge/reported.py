# SPDX-License-Identifier: GPL-2.0-only
"""Figures that loads report of themselves, in one phase, or over those in another."""

from __future__ import annotations

from collections.abc import Iterator

from lab.judge.bounds import Finding, evaluate_value
from lab.judge.evidence import Evidence, join_reasons
from lab.judge.metrics import MetricValue, phase_metrics
from lab.judge.verdict import Outcome, Verdict
from lab.plan.labplan import ExpectationPlan


def evaluate_reported(expectation: ExpectationPlan, evidence: Evidence) -> Iterator[Verdict]:
    """One verdict for the load; `expectation.phases` is (phase,) or (phase, baseline)."""
    load = str(expectation.load)
    values = [_value(evidence, f"{load}.{expectation.metric}", phase) for phase in expectation.phases]
    found = _decide(expectation, evidence, values)
    phase = expectation.phases[0]
    yield Verdict(found.outcome, expectation.text, f"load {load}", phase, found.observed, found.reason)


def _value(evidence: Evidence, metric: str, phase: str) -> MetricValue | None:
    planned = next((one for one in evidence.plan.phases if one.name == phase), None)
    values = () if planned is None else phase_metrics(evidence, planned)
    return next((one for one in values if one.metric == metric), None)


def _decide(expectation: ExpectationPlan, evidence: Evidence, values: list[MetricValue | None]) -> Finding:
    missing = [phase for phase, one in zip(expectation.phases, values, strict=True) if one is None]
    seen = [one for one in values if one is not None]
    observed = " over ".join(f"{one.value:.6g} {one.unit}" for one in seen) or "nothing"
    if missing:
        reasons = [reason for phase in missing for reason in _why_nothing(expectation, evidence, phase)]
        return Finding(Outcome.UNDECIDED, observed, join_reasons(reasons))
    doubts = join_reasons(doubt for one in seen for doubt in one.doubts)
    if doubts:
        return Finding(Outcome.UNDECIDED, observed, doubts)
    if len(seen) == 1:
        return evaluate_value(seen[0].value, expectation, observed)
    if seen[1].value == 0:
        return Finding(Outcome.UNDECIDED, observed, f"it was 0 in phase {expectation.phases[1]}")
    ratio = seen[0].value / seen[1].value
    return evaluate_value(ratio, expectation, f"{ratio:.2f} ({observed})")


def _why_nothing(expectation: ExpectationPlan, evidence: Evidence, phase: str) -> Iterator[str]:
    results = [one for one in evidence.load_results(phase) if one.load == expectation.load]
    planned = [
        metric.name
        for load in evidence.plan.loads
        if load.name == expectation.load
        for metric in load.metrics
    ]
    if expectation.metric not in planned:
        yield f"{expectation.load} reports no {expectation.metric} with its parameters"
    elif not results:
        yield f"no run of {expectation.load} was seen in phase {phase}"
    for one in results:
        yield from (f"{one.load} on {one.node}: {doubt}" for doubt in one.doubts)
