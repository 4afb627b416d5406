# SPDX-License-Identifier: GPL-2.0-only
"""What a bisection does next, from what was tried and where git stands.

Nothing else is remembered, so that one that was interrupted anywhere goes on by asking again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from lab.bisect.model import (
    Attempt,
    BaseIsBad,
    Decision,
    Found,
    Next,
    OnlySkipped,
    Position,
    Rules,
    Term,
    count_attempts,
    decide,
)
from lab.errors import ExitCode


@dataclass(frozen=True)
class Asked:
    """The ends, as full names of commits, and the rules."""

    bad: str
    goods: tuple[str, ...]
    rules: Rules


class Kind(Enum):
    """How a bisection ended."""

    FOUND = "found"
    RANGE = "range"
    CONTRADICTED = "contradicted"
    END_IS_WRONG = "end is wrong"
    END_NOT_TESTABLE = "end cannot be tested"
    BASE_IS_BAD = "merge base is bad"


#: Exit codes of `lab bisect`. That an end is not what it was said to be is found out by measuring, but is what
#: the user wrote.
EXIT_CODES = {
    Kind.FOUND: ExitCode.PASSED,
    Kind.RANGE: ExitCode.UNDECIDED,
    Kind.CONTRADICTED: ExitCode.UNDECIDED,
    Kind.END_IS_WRONG: ExitCode.BAD_INPUT,
    Kind.END_NOT_TESTABLE: ExitCode.UNDECIDED,
    Kind.BASE_IS_BAD: ExitCode.BAD_INPUT,
}


@dataclass(frozen=True)
class Conclusion:
    """`commits`: the first bad one; the possible ones of a range; the end that is wrong. `parents` are those of the
    first bad one. `sure`: every run of it was bad, every run of its parents good, and each of them has been run.
    """

    kind: Kind
    commits: tuple[str, ...]
    parents: tuple[str, ...] = ()
    sure: bool = False
    reason: str = ""


@dataclass(frozen=True)
class Try:
    """Run a commit; `why` is for people."""

    commit: str
    why: str


@dataclass(frozen=True)
class Begin:
    """Start git's bisection between the ends."""


@dataclass(frozen=True)
class Mark:
    """Tell git what a commit is."""

    commit: str
    decision: Decision


Step = Try | Begin | Mark | Conclusion


def plan_step(asked: Asked, attempts: tuple[Attempt, ...], position: Position | None) -> Step:
    """The next step; `position` is None before Begin."""
    if position is None:
        return _check_ends(asked, attempts) or Begin()
    if isinstance(position, Next):
        decision = decide(attempts, position.commit, asked.rules)
        return (
            Try(position.commit, _how_far(position)) if decision is None else Mark(position.commit, decision)
        )
    if isinstance(position, Found):
        return _confirm(asked, attempts, position)
    if isinstance(position, OnlySkipped):
        return Conclusion(Kind.RANGE, position.commits, reason="only commits that were skipped are left")
    assert isinstance(position, BaseIsBad)
    return Conclusion(Kind.BASE_IS_BAD, asked.goods, reason=position.text)


def _how_far(position: Next) -> str:
    return f"{position.left} commits left, about {position.steps} steps"


def _check_ends(asked: Asked, attempts: tuple[Attempt, ...]) -> Step | None:
    """The bad end first: where it is not bad there is nothing to look for. None when both are as was said."""
    if not asked.rules.check_ends:
        return None
    for commit, said in ((asked.bad, Term.BAD), *((good, Term.GOOD) for good in asked.goods)):
        decision = decide(attempts, commit, asked.rules)
        if decision is None:
            return Try(commit, f"is it {said.value}?")
        if decision.term is Term.SKIP:
            return Conclusion(Kind.END_NOT_TESTABLE, (commit,), reason=decision.reason)
        if decision.term is not said:
            count = count_attempts(attempts, commit)
            reason = f"was given as {said.value}, and is {decision.term.value} ({count})"
            return Conclusion(Kind.END_IS_WRONG, (commit,), reason=reason)
    return None


def _confirm(asked: Asked, attempts: tuple[Attempt, ...], found: Found) -> Step:
    for commit in (found.commit, *found.parents):
        count = count_attempts(attempts, commit)
        if count.verdicts < asked.rules.confirm and count.without < asked.rules.attempts:
            role = "the first bad commit" if commit == found.commit else "what comes before it"
            return Try(commit, f"{role}, once more" if count.verdicts else role)
    against = tuple(_contradictions(attempts, found))
    kind = Kind.CONTRADICTED if against else Kind.FOUND
    doubts = against or tuple(_doubts(attempts, found))
    return Conclusion(kind, (found.commit,), found.parents, not doubts, "; ".join(doubts))


def _contradictions(attempts: tuple[Attempt, ...], found: Found) -> Iterator[str]:
    count = count_attempts(attempts, found.commit)
    if count.verdicts and count.good >= count.bad:
        yield f"{found.commit[:12]} is not bad in most of its runs ({count})"
    for parent in found.parents:
        count = count_attempts(attempts, parent)
        if count.verdicts and count.bad >= count.good:
            yield f"{parent[:12]}, before it, is not good in most of its runs ({count})"


def _doubts(attempts: tuple[Attempt, ...], found: Found) -> Iterator[str]:
    for commit in (found.commit, *found.parents):
        count = count_attempts(attempts, commit)
        if not count.verdicts:
            yield f"{commit[:12]} has no run with a verdict"
        elif count.mixed:
            yield f"runs of {commit[:12]} disagree ({count})"
