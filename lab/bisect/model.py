# SPDX-License-Identifier: GPL-2.0-only
"""Words of a bisection: how one run of a commit ended, what that makes of the commit, and where git stands."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Term(Enum):
    """What git is told of a commit."""

    GOOD = "good"
    BAD = "bad"
    SKIP = "skip"


class Ending(Enum):
    """How one run of a commit ended.

    GOOD and BAD are verdicts. BROKEN (a patch was rejected, the kernel did not build) and UNJUDGED (no expectation
    means anything on this commit) would come out the same again. LOST is a guest that died or never spoke, in every
    attempt that a run has; UNDECIDED and FAILED may end otherwise next time. UNFIT says nothing of the commit.
    """

    GOOD = "good"
    BAD = "bad"
    UNDECIDED = "undecided"
    BROKEN = "not built"
    LOST = "guest lost"
    FAILED = "run failed"
    UNJUDGED = "nothing judged"
    UNFIT = "host unfit"


VERDICTS = (Ending.GOOD, Ending.BAD)
_ALWAYS_THE_SAME = (Ending.BROKEN, Ending.UNJUDGED)


@dataclass(frozen=True)
class Seen:
    """One judged expectation: `outcome` is the value of an Outcome, the rest as in a Verdict."""

    outcome: str
    expectation: str
    subject: str
    phase: str
    observed: str


@dataclass(frozen=True)
class Attempt:
    """One run of a commit.

    `key` is what was run: the commit's full name, with a suffix where the tree differed from it. `recording` is
    relative to the directory of the bisection, "" where nothing was recorded.
    """

    key: str
    subject: str
    ending: Ending
    reason: str = ""
    begun: str = ""
    build_s: float = 0.0
    run_s: float = 0.0
    recording: str = ""
    seen: tuple[Seen, ...] = ()
    topology_sha256: str = ""

    @property
    def is_verdict(self) -> bool:
        """Whether it says good or bad."""
        return self.ending in VERDICTS


@dataclass(frozen=True)
class Rules:
    """`votes`: runs with a verdict, the majority of which decides a commit. `attempts`: runs without one after
    which a commit is skipped. `confirm`: runs with a verdict that the first bad commit and its parents get.
    """

    votes: int = 1
    attempts: int = 3
    confirm: int = 2
    check_ends: bool = True


@dataclass(frozen=True)
class Decision:
    """What a commit is, and why where that is not plain."""

    term: Term
    reason: str = ""


@dataclass(frozen=True)
class Count:
    """Runs of one commit."""

    good: int = 0
    bad: int = 0
    without: int = 0

    @property
    def verdicts(self) -> int:
        """Runs that said good or bad."""
        return self.good + self.bad

    @property
    def mixed(self) -> bool:
        """Whether runs disagree."""
        return bool(self.good and self.bad)

    def __str__(self) -> str:
        parts = [(self.good, "good"), (self.bad, "bad"), (self.without, "without a verdict")]
        return ", ".join(f"{count} {what}" for count, what in parts if count) or "not run"


def count_attempts(attempts: tuple[Attempt, ...], key: str) -> Count:
    """The runs of one commit; a host that was unfit is none of its."""
    return _count([one for one in attempts if one.key == key])


def _count(mine: list[Attempt]) -> Count:
    endings = [one.ending for one in mine]
    others = [one for one in endings if one not in (*VERDICTS, Ending.UNFIT)]
    return Count(endings.count(Ending.GOOD), endings.count(Ending.BAD), len(others))


def decide(attempts: tuple[Attempt, ...], key: str, rules: Rules) -> Decision | None:
    """What the runs of the commit `key` make of it; None while another one is needed.

    It stays what it became first: runs that only confirm do not send the search elsewhere.
    """
    mine = [one for one in attempts if one.key == key]
    made = (_decide(mine[:runs], rules) for runs in range(1, len(mine) + 1))
    return next(filter(None, made), None)


def _decide(mine: list[Attempt], rules: Rules) -> Decision | None:
    count = _count(mine)
    majority = rules.votes // 2 + 1
    for term, votes in ((Term.BAD, count.bad), (Term.GOOD, count.good)):
        if votes >= majority:
            return Decision(term, f"runs disagree: {count}" if count.mixed else "")
    return _skipped(mine, count, rules)


def _skipped(mine: list[Attempt], count: Count, rules: Rules) -> Decision | None:
    """A guest that was lost in every attempt of a run will be lost again, unless a run of the commit ended well."""
    last = mine[-1]
    if last.ending in _ALWAYS_THE_SAME or (last.ending is Ending.LOST and not count.verdicts):
        return Decision(Term.SKIP, f"{last.ending.value}: {first_line(last.reason)}".rstrip(": "))
    if count.without < rules.attempts:
        return None
    return Decision(Term.SKIP, f"{count.without} runs without a verdict; the last: {first_line(last.reason)}")


def first_line(text: str) -> str:
    """The first line of a message."""
    return text.partition("\n")[0]


# ---- where git stands


@dataclass(frozen=True)
class Next:
    """A commit to test; `left` counts the commits that may be the first bad one, `steps` is about how many tests
    that takes."""

    commit: str
    left: int
    steps: int


@dataclass(frozen=True)
class Found:
    """The first bad commit, with its parents."""

    commit: str
    parents: tuple[str, ...]


@dataclass(frozen=True)
class OnlySkipped:
    """What may be the first bad commit, when all but the bad one of these were skipped."""

    commits: tuple[str, ...]


@dataclass(frozen=True)
class BaseIsBad:
    """The good commit is on another branch, and where that branches off is bad: fixed there, not broken here."""

    text: str


Position = Next | Found | OnlySkipped | BaseIsBad
