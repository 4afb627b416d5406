# SPDX-License-Identifier: GPL-2.0-only
"""How long a fold took until the folded vCPUs were quiet on the host."""

from __future__ import annotations

from collections.abc import Iterator

from lab.judge.bounds import Finding
from lab.judge.evidence import Evidence, join_reasons
from lab.judge.verdict import Outcome, Verdict
from lab.measure.windows import Folding
from lab.plan.labplan import ExpectationPlan
from lab.units import format_cpulist, format_seconds

_NS_PER_MS = 1_000_000


def evaluate_fold_effect(expectation: ExpectationPlan, evidence: Evidence) -> Iterator[Verdict]:
    """One verdict for each node folded in the phase; the bound is in ms.

    The time is known within one sampling interval and what the clocks leave open: where the bound lies in between,
    it is UNDECIDED. A machine that is held up outside only makes times longer, so a doubt about work per second
    speaks against a time that is too long, and not against one that is short enough.
    """
    (phase,) = expectation.phases
    for node, _ in expectation.targets:
        foldings = [one for one in evidence.foldings(phase) if one.node == node]
        if not foldings:
            reason = (
                join_reasons(evidence.phase_doubts(phase)) or f"no fold of {node} was recorded in {phase}"
            )
            yield Verdict(Outcome.UNDECIDED, expectation.text, node, phase, "nothing", reason)
        for folding in foldings:
            found = _find(folding, expectation, evidence)
            subject = f"{node} vcpu {format_cpulist(folding.vcpus)} by {folding.mechanism}"
            yield Verdict(found.outcome, expectation.text, subject, phase, found.observed, found.reason)


def render_effect(folding: Folding) -> str:
    """``quiet after 150 ms``, or how long it was not."""
    if folding.effect_ns is None:
        return f"not quiet within {format_seconds(folding.observed_ns)}"
    return f"quiet after {folding.effect_ns / _NS_PER_MS:.0f} ms"


def _find(folding: Folding, expectation: ExpectationPlan, evidence: Evidence) -> Finding:
    observed = render_effect(folding)
    doubts = (*evidence.phase_doubts(folding.phase), *folding.doubts)
    if not doubts and not _is_short_enough(folding, expectation):
        doubts = evidence.work_doubts(folding.phase)
    if doubts:
        return Finding(Outcome.UNDECIDED, observed, join_reasons(doubts))
    return _decide(folding, expectation, observed)


def _maximum_ns(expectation: ExpectationPlan) -> float:
    return float(expectation.maximum or 0) * _NS_PER_MS


def _is_short_enough(folding: Folding, expectation: ExpectationPlan) -> bool:
    return folding.effect_ns is not None and folding.effect_ns <= _maximum_ns(expectation)


def _decide(folding: Folding, expectation: ExpectationPlan, observed: str) -> Finding:
    if _is_short_enough(folding, expectation):
        return Finding(Outcome.PASSED, observed)
    allowed = f"{expectation.maximum:g} ms allowed"
    if folding.effect_ns is None or folding.effect_ns - folding.error_ns > _maximum_ns(expectation):
        return Finding(Outcome.FAILED, observed, f"more than the {allowed}")
    error_ms = folding.error_ns / _NS_PER_MS
    return Finding(
        Outcome.UNDECIDED, observed, f"on the bound: known within {error_ms:.0f} ms only, {allowed}"
    )
