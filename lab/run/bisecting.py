# SPDX-License-Identifier: GPL-2.0-only
"""Carries a bisection out: asks what is next, does it, writes it down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from lab.bisect.model import Attempt, Position, Term, count_attempts
from lab.bisect.steps import Asked, Begin, Conclusion, Mark, Try, plan_step
from lab.bisect.text import render_decision
from lab.run.bisectjournal import BisectJournal
from lab.run.ports import Narrator

#: Runs a commit once, and says how that ended. What says nothing of the commit (a host that is unfit, bad input) is
#: raised: nothing is written down then.
Carry = Callable[[str], Attempt]


class Searching(Protocol):
    """git's bisection (lab.artifacts.gitbisect)."""

    def start(self, bad: str, goods: Sequence[str]) -> Position:
        """Begin anew between the ends."""

    def mark(self, commit: str, term: Term) -> Position:
        """Tell it what a commit is."""


class BisectRunner:
    """One bisection. Interrupted anywhere, another runner on the same journal goes on."""

    def __init__(
        self, asked: Asked, git: Searching, journal: BisectJournal, carry: Carry, narrator: Narrator
    ) -> None:
        self._asked = asked
        self._git = git
        self._journal = journal
        self._carry = carry
        self._narrator = narrator

    def run(self) -> Conclusion:
        """Until the end. Raises whatever `carry` raises."""
        position: Position | None = None
        while True:
            step = plan_step(self._asked, self._journal.attempts, position)
            if isinstance(step, Conclusion):
                self._journal.conclude(step)
                return step
            if isinstance(step, Begin):
                position = self._git.start(self._asked.bad, self._asked.goods)
            elif isinstance(step, Mark):
                self._tell_decided(step)
                position = self._git.mark(step.commit, step.decision.term)
            else:
                self._try(step)

    def _try(self, step: Try) -> None:
        self._narrator.say(f"trying {step.commit[:12]}: {step.why}")
        self._journal.add(self._carry(step.commit))

    def _tell_decided(self, step: Mark) -> None:
        attempts = self._journal.attempts
        subject = next((one.subject for one in attempts if one.key == step.commit), "")
        count = count_attempts(attempts, step.commit)
        self._narrator.say(
            render_decision(step.commit, subject, step.decision.term, count, step.decision.reason)
        )
