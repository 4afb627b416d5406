# SPDX-License-Identifier: GPL-2.0-only
"""Whether runs of a scenario came to the verdicts that somebody else's run came to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from lab.judge.verdict import Judgement, Outcome, Verdict

#: What is decided; UNDECIDED and SKIPPED are not.
_DECIDED = (Outcome.PASSED, Outcome.FAILED)
_Key = tuple[str, str, str, int]


class Reproduced(StrEnum):
    """Whether verdicts are the same."""

    YES = "yes"
    NO = "no"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Matched:
    """One judged statement in the reporter's recording and in each run here; None where it was not judged there."""

    expectation: str
    subject: str
    phase: str
    there: Verdict | None
    here: tuple[Verdict | None, ...]

    def agrees(self, run: int) -> Reproduced:
        """Whether run number `run` came to the same."""
        here = self.here[run]
        if self.there is None or here is None:
            return Reproduced.UNDECIDED
        if here.outcome is self.there.outcome:
            return Reproduced.YES
        decided = self.there.outcome in _DECIDED and here.outcome in _DECIDED
        return Reproduced.NO if decided else Reproduced.UNDECIDED

    @property
    def is_same(self) -> bool:
        """Whether every run came to the same."""
        return all(self.agrees(run) is Reproduced.YES for run in range(len(self.here)))


@dataclass(frozen=True)
class Reproduction:
    """Every statement, in the reporter's order; `runs` says of each run here whether it came to the same."""

    matched: tuple[Matched, ...]
    runs: tuple[Reproduced, ...]

    @property
    def outcome(self) -> Reproduced:
        """YES or NO where every run says so; undecided where runs differ, or where nothing was judged."""
        found = set(self.runs)
        return found.pop() if len(found) == 1 else Reproduced.UNDECIDED

    @property
    def differing(self) -> tuple[Matched, ...]:
        """What did not come to the same in every run."""
        return tuple(one for one in self.matched if not one.is_same)


def match_verdicts(there: Judgement, here: Sequence[Judgement]) -> Reproduction:
    """The verdicts of each run in `here` beside those of `there`, matched by what is stated."""
    of_there = _by_key(there)
    of_runs = [_by_key(judgement) for judgement in here]
    keys = dict.fromkeys((*of_there, *(key for run in of_runs for key in run)))
    matched = tuple(
        Matched(*key[:3], of_there.get(key), tuple(run.get(key) for run in of_runs)) for key in keys
    )
    return Reproduction(matched, tuple(_agreement(matched, run) for run in range(len(here))))


def _by_key(judgement: Judgement) -> dict[_Key, Verdict]:
    """Verdicts by what they are about; what is stated twice is told apart by its number."""
    return dict(_numbered(judgement.verdicts))


def _numbered(verdicts: Sequence[Verdict]) -> Iterator[tuple[_Key, Verdict]]:
    seen: Counter[tuple[str, str, str]] = Counter()
    for verdict in verdicts:
        about = (verdict.expectation, verdict.subject, verdict.phase)
        yield (*about, seen[about]), verdict
        seen[about] += 1


def _agreement(matched: Sequence[Matched], run: int) -> Reproduced:
    found = {one.agrees(run) for one in matched}
    if Reproduced.NO in found:
        return Reproduced.NO
    return Reproduced.YES if found == {Reproduced.YES} else Reproduced.UNDECIDED
