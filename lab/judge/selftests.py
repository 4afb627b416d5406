# SPDX-License-Identifier: GPL-2.0-only
"""Selftests that a load ran: one verdict for each test of each guest."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from lab.judge.evidence import Evidence, join_reasons
from lab.judge.verdict import Outcome, Verdict
from lab.measure.ktap import SelfTest
from lab.measure.windows import LoadResult
from lab.plan.labplan import ExpectationPlan

_OUTCOMES = {"pass": Outcome.PASSED, "fail": Outcome.FAILED, "skip": Outcome.SKIPPED}


def evaluate_selftests(expectation: ExpectationPlan, evidence: Evidence) -> Iterator[Verdict]:
    """Tests by guest and in the order in which they ran, then what speaks against the run. A disturbed host does
    not: a test passes or fails all the same."""
    (phase,) = expectation.phases
    nodes = dict.fromkeys(load.node for load in evidence.plan.loads if load.name == expectation.load)
    for node in nodes:
        runs = [
            one for one in evidence.load_results(phase) if (one.load, one.node) == (expectation.load, node)
        ]
        for run in runs:
            yield from (_verdict(expectation, run, test) for test in run.tests)
        reason = (
            join_reasons(reason for run in runs for reason in _why_not_all(run))
            if runs
            else "no run was seen"
        )
        if reason:
            subject, observed = f"load {expectation.load} on {node}", _observed(runs)
            yield Verdict(Outcome.UNDECIDED, expectation.text, subject, phase, observed, reason)


def _verdict(expectation: ExpectationPlan, run: LoadResult, test: SelfTest) -> Verdict:
    outcome, reason = _OUTCOMES[test.outcome], test.why
    if outcome is Outcome.FAILED and any(fnmatchcase(test.name, glob) for glob in expectation.may_fail):
        outcome, reason = Outcome.SKIPPED, f"may fail{f': {test.why}' if test.why else ''}"
    if outcome is Outcome.PASSED:
        reason = ""
    elif not reason:
        reason = "it says no more"
    return Verdict(outcome, expectation.text, f"{run.node} {test.name}", run.phase, test.outcome, reason)


def _why_not_all(run: LoadResult) -> Iterator[str]:
    """Only what makes results be missing: when and beside what it ran does not matter."""
    if run.status is None:
        yield "its end was not seen"
    elif run.status != 0:
        yield f"it ended with status {run.status}"
    if not run.tests or dict(run.values).get("passed") is None:
        yield from (doubt for doubt in run.doubts if "does not tell passed" in doubt)


def _observed(runs: list[LoadResult]) -> str:
    return f"{sum(len(run.tests) for run in runs)} results"
