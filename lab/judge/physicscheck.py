# SPDX-License-Identifier: GPL-2.0-only
"""Whether host and guests are on one clock: no guest does anything while its vCPU does not run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lab.judge.bounds import Finding
from lab.judge.evidence import Evidence, join_reasons
from lab.judge.figure import render_time
from lab.judge.pervcpu import NOTHING_SEEN
from lab.judge.traced import physics_of, trace_doubts, wrong_clock
from lab.judge.verdict import Outcome, Verdict
from lab.plan.labplan import ExpectationPlan

if TYPE_CHECKING:
    from lab.trace.summary import Physics


def evaluate_physics(expectation: ExpectationPlan, evidence: Evidence) -> Iterator[Verdict]:
    """One verdict for each phase and guest: FAILED with any violation."""
    for phase in expectation.phases:
        for node, _ in expectation.targets:
            found = _find(evidence, node, phase)
            yield Verdict(found.outcome, expectation.text, node, phase, found.observed, found.reason)


def _find(evidence: Evidence, node: str, phase: str) -> Finding:
    physics = physics_of(evidence, node, phase)
    doubts = [*trace_doubts(evidence, phase, node)]
    if physics is None:
        if evidence.trace(phase) is not None:
            doubts.append(f"{node} itself was not traced in phase {phase}")
        return Finding(Outcome.UNDECIDED, NOTHING_SEEN, join_reasons(doubts))
    if doubts:
        return Finding(Outcome.UNDECIDED, render_physics(physics), join_reasons(doubts))
    if not physics.checked:
        return Finding(Outcome.UNDECIDED, render_physics(physics), "the guest's trace has nothing to check")
    wrong = wrong_clock(physics)
    if wrong:
        return Finding(Outcome.FAILED, render_physics(physics), wrong)
    return Finding(Outcome.PASSED, render_physics(physics))


def render_physics(physics: Physics) -> str:
    """``0 of 20311 events out of place, worst 3.1 us, clock within 12 us``"""
    return (
        f"{physics.violations} of {physics.checked} events out of place, worst {render_time(physics.worst_ns)}, "
        f"clock within {render_time(physics.error_ns)}"
    )
