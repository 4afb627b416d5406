# SPDX-License-Identifier: GPL-2.0-only
"""Verdicts about every repeat of an arm, taken together: one for each arm and subject, not hundreds.

What a topology expects, it expects of each counted repeat: one that fails is one too many, and is told. Repeats
whose windows must not count are left out, as they are where arms are compared; with more than MAX_LEFT_OUT of them
nothing is decided. The repeats are not pooled into one long window: that would let one repeat make up for another,
and the sides of the VM boundary agree by cancelling out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from lab.judge.evidence import join_reasons
from lab.judge.repeated import repeat_expectation
from lab.judge.verdict import Outcome, Verdict
from lab.plan.labplan import ExpectationPlan, LabPlan

#: Of all counted repeats, how many may be left out.
MAX_LEFT_OUT = 0.25
#: How many reasons are told.
_TOLD = 3

JudgeOne = Callable[[ExpectationPlan], Iterable[Verdict]]


def judge_repeats(expectation: ExpectationPlan, plan: LabPlan, judge_one: JudgeOne) -> Iterator[Verdict]:
    """What `judge_one` says of `expectation`; where it is about arms, of all their repeats together.

    A verdict's phase is then ``PHASE.ARM``.
    """
    windows = {phase.name: phase for phase in plan.phases if phase.repeat}
    groups: dict[tuple[str, str], list[tuple[int, Verdict]]] = {}
    for one in repeat_expectation(expectation, plan):
        for verdict in judge_one(one):
            window = windows.get(verdict.phase)
            if window is None:
                yield verdict
                continue
            key = (verdict.subject, f"{window.template}.{window.arm}")
            groups.setdefault(key, []).append((window.repeat, verdict))
    for (subject, phase), verdicts in groups.items():
        yield _together(expectation, subject, phase, verdicts)


def _together(
    expectation: ExpectationPlan, subject: str, phase: str, verdicts: Sequence[tuple[int, Verdict]]
) -> Verdict:
    failed, passed = (_with(verdicts, outcome) for outcome in (Outcome.FAILED, Outcome.PASSED))
    left_out = [one for one in verdicts if one not in failed and one not in passed]
    reason = _reasons(left_out)
    if failed:
        observed = f"{_count(failed, verdicts)}: {_first(failed)}"
        return Verdict(Outcome.FAILED, expectation.text, subject, phase, observed, _reasons(failed))
    if len(left_out) > MAX_LEFT_OUT * len(verdicts):
        skipped = all(one.outcome is Outcome.SKIPPED for _, one in verdicts)
        outcome = Outcome.SKIPPED if skipped else Outcome.UNDECIDED
        observed = f"{_count(left_out, verdicts)}: {_first(left_out)}"
        return Verdict(outcome, expectation.text, subject, phase, observed, reason)
    observed = f"{_count(passed, verdicts)}: {_first(passed)}"
    told = f"left out: {reason}" if left_out else ""
    return Verdict(Outcome.PASSED, expectation.text, subject, phase, observed, told)


def _with(verdicts: Sequence[tuple[int, Verdict]], outcome: Outcome) -> list[tuple[int, Verdict]]:
    return [one for one in verdicts if one[1].outcome is outcome]


def _count(some: Sequence[tuple[int, Verdict]], of: Sequence[tuple[int, Verdict]]) -> str:
    return f"{len(some)} of {len(of)} repeats"


def _first(some: Sequence[tuple[int, Verdict]]) -> str:
    """What was observed in the first of them, which stands for the others."""
    repeat, verdict = some[0]
    return f"{verdict.observed} in repeat {repeat}"


def _reasons(some: Sequence[tuple[int, Verdict]]) -> str:
    told = [f"repeat {repeat}: {verdict.reason}" for repeat, verdict in some if verdict.reason]
    more = [f"and {len(told) - _TOLD} more"] if len(told) > _TOLD else []
    return join_reasons([*told[:_TOLD], *more])
