# SPDX-License-Identifier: GPL-2.0-only
"""What came of trying a series: the patched kernel against the base, in one outcome and a few words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lab.judge.arms import ArmComparison, ArmsReport
from lab.judge.verdict import Judgement, Outcome
from lab.stats.compare import Change

#: In the order in which they are told.
_ORDER = (Change.REGRESSED, Change.IMPROVED, Change.CHANGED, Change.INCONCLUSIVE, Change.SAME)


@dataclass(frozen=True)
class TrialVerdict:
    """How it came out, and in words: `lines` are about the comparisons, by how they came out, and the expectations.

    `outcome` is FAILED where something regressed or the patched kernel does not do what the topology expects of it;
    UNDECIDED where a comparison is inconclusive, a verdict undecided, or nothing could be compared.
    """

    outcome: Outcome
    lines: tuple[str, ...]


def judge_trial(report: ArmsReport | None, judgement: Judgement) -> TrialVerdict:
    """The verdict on a trial with the arms `report` and the judgement of the topology's own expectations."""
    compared = report.comparisons if report else ()
    return TrialVerdict(_outcome(compared, judgement), (*_compared(compared), *_expected(judgement)))


def _outcome(compared: tuple[ArmComparison, ...], judgement: Judgement) -> Outcome:
    changes = {one.comparison.verdict for one in compared}
    if judgement.outcome is Outcome.FAILED or Change.REGRESSED in changes:
        return Outcome.FAILED
    if judgement.outcome is Outcome.UNDECIDED or Change.INCONCLUSIVE in changes or not compared:
        return Outcome.UNDECIDED
    return Outcome.PASSED


def _compared(compared: tuple[ArmComparison, ...]) -> Iterator[str]:
    if not compared:
        yield "nothing could be compared"
    for change in _ORDER:
        those = [one for one in compared if one.comparison.verdict is change]
        if those:
            yield f"{change.value}: {', '.join(map(_told, those))}"


def _told(one: ArmComparison) -> str:
    """A change is told with its size; of what is the same, and of what nobody knows, the table says enough."""
    where = f"{one.metric.phase}/{one.metric.name}"
    done = one.comparison
    if done.change is None or done.verdict in (Change.SAME, Change.INCONCLUSIVE):
        return where
    return f"{where} {done.change:+.1f}{' points' if done.scale == 'points' else '%'}"


def _expected(judgement: Judgement) -> Iterator[str]:
    outcomes = [verdict.outcome for verdict in judgement.verdicts]
    if outcomes:
        counts = ((outcome, outcomes.count(outcome)) for outcome in Outcome)
        yield "expected of the patched kernel: " + ", ".join(f"{n} {one.value}" for one, n in counts if n)
