# SPDX-License-Identifier: GPL-2.0-only
"""Verdicts by what was expected: what did not pass in full, what passed where one wants to see it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from lab.judge.verdict import Judgement, Outcome, Verdict
from lab.report.page import Expected, VerdictLine

#: Verdicts of one expectation that are shown of each kind; as few as the second that passed are not folded away.
MOST, FEW = 60, 8
_ORDER = (Outcome.FAILED, Outcome.UNDECIDED, Outcome.PASSED, Outcome.SKIPPED)


def expected_of(judgement: Judgement) -> tuple[Expected, ...]:
    """Every expectation, in the plan's order."""
    return tuple(
        _expected(text, list(verdicts))
        for text, verdicts in groupby(judgement.verdicts, key=lambda one: one.expectation)
    )


def _expected(text: str, verdicts: Sequence[Verdict]) -> Expected:
    passed = [_line(one) for one in verdicts if one.outcome is Outcome.PASSED]
    others = [_line(one) for one in verdicts if one.outcome is not Outcome.PASSED]
    shown, folded = ([*others, *passed], []) if len(passed) <= FEW else (others, passed)
    left = max(0, len(shown) - MOST - FEW) + max(0, len(folded) - MOST)
    return Expected(
        text or "(unnamed expectation)",
        Judgement(tuple(verdicts)).outcome.value,
        _counts(verdicts),
        tuple(shown[: MOST + FEW]),
        tuple(folded[:MOST]),
        f"{left} more verdicts are not shown: `lab check --json` has them" if left else "",
    )


def _counts(verdicts: Sequence[Verdict]) -> str:
    counts = Counter(one.outcome for one in verdicts)
    return ", ".join(f"{counts[outcome]} {outcome.value}" for outcome in _ORDER if counts[outcome])


def _line(one: Verdict) -> VerdictLine:
    return VerdictLine(one.outcome.value, one.subject, one.phase, one.observed, one.reason)
