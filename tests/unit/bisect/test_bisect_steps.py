# SPDX-License-Identifier: GPL-2.0-only
"""What runs make of a commit, and what a bisection does next."""

from __future__ import annotations

import pytest

from lab.bisect.endings import ending_of_error, ending_of_judgement, seen_of
from lab.bisect.model import (
    Attempt,
    BaseIsBad,
    Decision,
    Ending,
    Found,
    Next,
    OnlySkipped,
    Rules,
    Term,
    count_attempts,
    decide,
)
from lab.bisect.steps import Asked, Begin, Conclusion, Kind, Mark, Try, plan_step
from lab.errors import (
    BootTimeout,
    BuildFailed,
    CommandFailed,
    GuestLost,
    HostError,
    HostLost,
    InputError,
    KnobError,
    LabError,
    LeaseTaken,
    PatchRejected,
    UndecidedError,
)
from lab.judge.verdict import Judgement, Outcome, Verdict

WORDS = {
    "g": Ending.GOOD,
    "b": Ending.BAD,
    "u": Ending.UNDECIDED,
    "x": Ending.BROKEN,
    "l": Ending.LOST,
    "f": Ending.FAILED,
    "j": Ending.UNJUDGED,
    "h": Ending.UNFIT,
}
ASKED = Asked("bad", ("good",), Rules())


def runs(word: str, key: str = "c") -> tuple[Attempt, ...]:
    return tuple(Attempt(key, "a subject", WORDS[letter], "why\nmore") for letter in word)


@pytest.mark.parametrize(
    ("word", "votes", "term"),
    [
        ("", 1, None),
        ("g", 1, Term.GOOD),
        ("b", 1, Term.BAD),
        ("u", 1, None),
        ("uu", 1, None),
        ("uuu", 1, Term.SKIP),
        ("uub", 1, Term.BAD),
        ("ufl", 1, Term.SKIP),
        ("x", 3, Term.SKIP),
        ("j", 1, Term.SKIP),
        ("l", 1, Term.SKIP),
        ("gl", 3, None),
        ("gg", 3, Term.GOOD),
        ("gb", 3, None),
        ("gbb", 3, Term.BAD),
        ("gubug", 3, Term.GOOD),
        ("guubu", 3, Term.SKIP),
        ("hhhh", 1, None),
        ("hg", 1, Term.GOOD),
        ("gbbb", 1, Term.GOOD),
    ],
)
def test_runs_decide_a_commit(word: str, votes: int, term: Term | None) -> None:
    decision = decide((*runs("b", "other"), *runs(word)), "c", Rules(votes=votes, attempts=3))
    assert (decision.term if decision else None) is term


def test_a_decision_says_why_where_it_is_not_plain() -> None:
    assert decide(runs("x"), "c", Rules()) == Decision(Term.SKIP, "not built: why")
    assert decide(runs("uuu"), "c", Rules()) == Decision(Term.SKIP, "3 runs without a verdict; the last: why")
    assert decide(runs("gbb"), "c", Rules(votes=3)) == Decision(Term.BAD, "runs disagree: 1 good, 2 bad")
    assert str(count_attempts((), "c")) == "not run"


@pytest.mark.parametrize(
    ("error", "ending"),
    [
        (BuildFailed("x"), Ending.BROKEN),
        (PatchRejected("x"), Ending.BROKEN),
        (GuestLost("x"), Ending.LOST),
        (BootTimeout("x"), Ending.LOST),
        (HostLost("x"), Ending.FAILED),
        (KnobError("x"), Ending.FAILED),
        (CommandFailed("x"), Ending.FAILED),
        (UndecidedError("x"), Ending.UNDECIDED),
        (HostError("x"), Ending.UNFIT),
        (InputError("x"), Ending.UNFIT),
        (LeaseTaken("x"), Ending.UNFIT),
    ],
)
def test_errors_say_something_of_the_commit_or_nothing(error: LabError, ending: Ending) -> None:
    assert ending_of_error(error, lost_is_bad=False) is ending
    bad = isinstance(error, GuestLost | BootTimeout)
    assert ending_of_error(error, lost_is_bad=True) is (Ending.BAD if bad else ending)


@pytest.mark.parametrize(
    ("outcomes", "ending"),
    [
        ([], Ending.UNJUDGED),
        ([Outcome.SKIPPED], Ending.UNJUDGED),
        ([Outcome.PASSED, Outcome.SKIPPED], Ending.GOOD),
        ([Outcome.PASSED, Outcome.UNDECIDED], Ending.UNDECIDED),
        ([Outcome.UNDECIDED, Outcome.FAILED], Ending.BAD),
    ],
)
def test_judgements_end_a_run(outcomes: list[Outcome], ending: Ending) -> None:
    verdicts = tuple(Verdict(one, "steal <= 5 %", "guest1", "folded", "9 %", "far off") for one in outcomes)
    found, reason = ending_of_judgement(Judgement(verdicts))
    assert found is ending
    assert reason == ("steal <= 5 %: far off" if outcomes else "")
    assert [one.outcome for one in seen_of(Judgement(verdicts))] == [one.value for one in outcomes]


# ---- steps


def test_the_ends_are_tried_first_the_bad_one_before_the_good() -> None:
    assert plan_step(ASKED, (), None) == Try("bad", "is it bad?")
    assert plan_step(ASKED, runs("b", "bad"), None) == Try("good", "is it good?")
    assert plan_step(ASKED, (*runs("b", "bad"), *runs("g", "good")), None) == Begin()
    unchecked = Asked("bad", ("good",), Rules(check_ends=False))
    assert plan_step(unchecked, (), None) == Begin()


def test_an_end_that_is_not_what_it_was_said_to_be_ends_it() -> None:
    wrong = plan_step(ASKED, runs("g", "bad"), None)
    assert wrong == Conclusion(Kind.END_IS_WRONG, ("bad",), reason="was given as bad, and is good (1 good)")
    wrong = plan_step(ASKED, (*runs("b", "bad"), *runs("b", "good")), None)
    assert wrong == Conclusion(Kind.END_IS_WRONG, ("good",), reason="was given as good, and is bad (1 bad)")
    broken = plan_step(ASKED, runs("x", "bad"), None)
    assert broken == Conclusion(Kind.END_NOT_TESTABLE, ("bad",), reason="not built: why")


def test_a_commit_is_tried_until_it_is_decided_and_then_marked() -> None:
    position = Next("c", 9, 3)
    assert plan_step(ASKED, (), position) == Try("c", "9 commits left, about 3 steps")
    assert plan_step(ASKED, runs("u"), position) == Try("c", "9 commits left, about 3 steps")
    assert plan_step(ASKED, runs("ub"), position) == Mark("c", Decision(Term.BAD))


def test_what_was_found_is_confirmed_on_both_sides() -> None:
    found = Found("c", ("p",))
    assert plan_step(ASKED, runs("b"), found) == Try("c", "the first bad commit, once more")
    assert plan_step(ASKED, runs("bb"), found) == Try("p", "what comes before it")
    end = plan_step(ASKED, (*runs("bb"), *runs("gg", "p")), found)
    assert end == Conclusion(Kind.FOUND, ("c",), ("p",), sure=True)


@pytest.mark.parametrize(
    ("mine", "parents", "kind", "sure", "said"),
    [
        ("bb", "gg", Kind.FOUND, True, ""),
        ("bg", "gg", Kind.CONTRADICTED, False, "c is not bad in most of its runs (1 good, 1 bad)"),
        ("bgb", "gg", Kind.FOUND, False, "runs of c disagree (1 good, 2 bad)"),
        ("bb", "bb", Kind.CONTRADICTED, False, "p, before it, is not good in most of its runs (2 bad)"),
        ("bb", "ggb", Kind.FOUND, False, "runs of p disagree (2 good, 1 bad)"),
        ("bb", "uuu", Kind.FOUND, False, "p has no run with a verdict"),
    ],
)
def test_how_sure_it_is(mine: str, parents: str, kind: Kind, sure: bool, said: str) -> None:
    end = plan_step(ASKED, (*runs(mine), *runs(parents, "p")), Found("c", ("p",)))
    assert isinstance(end, Conclusion)
    assert (end.kind, end.sure, end.reason) == (kind, sure, said)


def test_git_may_end_it_otherwise() -> None:
    end = plan_step(ASKED, (), OnlySkipped(("a", "b")))
    assert end == Conclusion(Kind.RANGE, ("a", "b"), reason="only commits that were skipped are left")
    end = plan_step(ASKED, (), BaseIsBad("The merge base is bad."))
    assert end == Conclusion(Kind.BASE_IS_BAD, ("good",), reason="The merge base is bad.")
