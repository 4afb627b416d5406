# SPDX-License-Identifier: GPL-2.0-only
"""Verdicts: what the judge says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Outcome(Enum):
    """The four states of a verdict."""

    PASSED = "passed"
    FAILED = "failed"
    UNDECIDED = "undecided"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Verdict:
    """One judged statement.

    `expectation` is the text of what was expected, `observed` what was seen (value, unit, both sides where
    there are two), `reason` why, for everything but PASSED.
    """

    outcome: Outcome
    expectation: str
    subject: str
    phase: str
    observed: str
    reason: str = ""


@dataclass(frozen=True)
class Judgement:
    """All verdicts of a recording, and the outcome of the whole.

    FAILED if any verdict is; else UNDECIDED if any is; else PASSED. A recording without an expectation, or
    with every verdict SKIPPED, is SKIPPED.
    """

    verdicts: tuple[Verdict, ...]

    @property
    def outcome(self) -> Outcome:
        """The outcome of the whole."""
        outcomes = {verdict.outcome for verdict in self.verdicts}
        for outcome in (Outcome.FAILED, Outcome.UNDECIDED, Outcome.PASSED):
            if outcome in outcomes:
                return outcome
        return Outcome.SKIPPED
