# SPDX-License-Identifier: GPL-2.0-only
"""Verdicts of one run beside those of others, and figures beside figures."""

from __future__ import annotations

import pytest

from lab.judge.besides import Figure, render_besides
from lab.judge.reproduced import Reproduced, match_verdicts
from lab.judge.reprotable import render_differing, render_headline, reproduction_document
from lab.judge.verdict import Judgement, Outcome, Verdict
from lab.stats.prediction import predict_next


def verdict(
    outcome: Outcome, subject: str = "guest vcpu 0", phase: str = "folded", reason: str = ""
) -> Verdict:
    return Verdict(outcome, "steal of every vCPU: <= 5 %", subject, phase, "guest 1.0 %", reason)


def judged(*outcomes: Outcome) -> Judgement:
    return Judgement(tuple(verdict(one, f"guest vcpu {number}") for number, one in enumerate(outcomes)))


P, F, U, S = Outcome.PASSED, Outcome.FAILED, Outcome.UNDECIDED, Outcome.SKIPPED


@pytest.mark.parametrize(
    ("there", "here", "expected"),
    [
        ((P, P), ((P, P),), Reproduced.YES),
        ((F, P), ((F, P),), Reproduced.YES),
        ((U, S), ((U, S),), Reproduced.YES),
        ((P, P), ((P, F),), Reproduced.NO),
        ((F, P), ((P, P),), Reproduced.NO),
        ((P, P), ((P, U),), Reproduced.UNDECIDED),
        ((P, P), ((S, P),), Reproduced.UNDECIDED),
        ((P, U), ((P, P),), Reproduced.UNDECIDED),
        ((P, P), ((U, F),), Reproduced.NO),
        ((P, P), ((P,),), Reproduced.UNDECIDED),
        ((P,), ((P, P),), Reproduced.UNDECIDED),
        ((), ((),), Reproduced.UNDECIDED),
        ((P, P), ((P, P), (P, P)), Reproduced.YES),
        ((P, P), ((P, F), (F, P)), Reproduced.NO),
        ((P, P), ((P, P), (F, P)), Reproduced.UNDECIDED),
    ],
)
def test_whether_verdicts_are_the_same(
    there: tuple[Outcome, ...], here: tuple[tuple[Outcome, ...], ...], expected: Reproduced
):
    found = match_verdicts(judged(*there), [judged(*one) for one in here])
    assert found.outcome is expected
    assert reproduction_document(found)["reproduced"] == expected.value


def test_what_is_stated_twice_is_told_apart_and_order_does_not_matter():
    there = Judgement((verdict(P), verdict(F), verdict(P, phase="contended")))
    here = Judgement((verdict(P, phase="contended"), verdict(P), verdict(F)))
    assert match_verdicts(there, [here]).outcome is Reproduced.YES


@pytest.mark.parametrize(
    ("there", "here", "headline"),
    [
        ((P, F), ((P, F),), "REPRODUCED: all 2 verdicts are the reporter's (1 passed, 1 failed)\n"),
        ((P,), ((P,),), "REPRODUCED: the only verdict is the reporter's (1 passed)\n"),
        (
            (P, P),
            ((P, P),) * 3,
            "REPRODUCED: all 2 verdicts are the reporter's in each of 3 runs (2 passed)\n",
        ),
        ((P, P), ((P, F),), "NOT REPRODUCED: 1 of 2 verdicts came out otherwise\n"),
        ((P, P), ((P, P), (F, P)), "UNDECIDED: reproduced in 1 of 2 runs\n"),
        ((P, P), ((P, S),), "UNDECIDED: 1 of 2 were skipped on one side\n"),
        (
            (P, P, P, P),
            ((S, U, F, P),),
            "NOT REPRODUCED: 1 of 4 verdicts came out otherwise, 1 of 4 were skipped on\n"
            "  one side, 1 of 4 are undecided on one side\n",
        ),
        (
            (P, P),
            ((P, U),),
            "UNDECIDED: 1 of 2 are undecided on one side\n",
        ),
        (
            (),
            ((),),
            "UNDECIDED: the reporter's recording has no verdicts, and so there are none\n  to reproduce\n",
        ),
    ],
)
def test_the_headline_says_it_in_a_sentence(
    there: tuple[Outcome, ...], here: tuple[tuple[Outcome, ...], ...], headline: str
):
    assert render_headline(match_verdicts(judged(*there), [judged(*one) for one in here])) == headline


def test_what_differs_is_told_with_both_sides_and_reasons():
    there = Judgement((verdict(P), verdict(P, "load busy")))
    here = Judgement((verdict(S, reason="no mask here"), verdict(P, "load busy")))
    assert render_differing(match_verdicts(there, [here])) == (
        "steal of every vCPU: <= 5 %\n"
        "  guest vcpu 0, folded\n"
        "    reporter PASSED    guest 1.0 %\n"
        "    here     SKIPPED   guest 1.0 % (no mask here)\n"
    )
    assert render_differing(match_verdicts(there, [there])) == ""
    long = Judgement((verdict(S, reason="no mask here\n  looked everywhere"), verdict(P, "load busy")))
    assert "(no mask here ...)" in render_differing(match_verdicts(there, [long]))


def test_equal_verdicts_of_several_runs_are_told_once():
    there, failed = Judgement((verdict(P),)), Judgement((verdict(F),))
    told = render_differing(match_verdicts(there, [failed, failed, there]))
    assert "here     FAILED    guest 1.0 % (2 runs)" in told
    assert "here     PASSED    guest 1.0 %\n" in told


# ---- figures


def figure(there: float | None, *here: float, unit: str = "%", doubted: bool = False) -> Figure:
    return Figure("folded", "steal guest vcpu 0, guest", unit, there, here, doubted)


def test_percentages_are_compared_in_points_and_all_else_in_per_cent():
    assert figure(50.0, 49.0).change == -1.0
    assert figure(200.0, 190.0, 210.0, unit="work/s").change == 0.0
    assert figure(0.0, 1.0, unit="work/s").change is None
    assert figure(None, 1.0).change is None
    assert figure(1.0).change is None


def test_where_one_more_run_would_lie():
    """t for 4 degrees of freedom at 97.5 % is 2.7764: 10 +- 2.7764 x sqrt(2.5) x sqrt(1.2)."""
    interval = predict_next([8.0, 9.0, 10.0, 11.0, 12.0])
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((10 - 4.8088, 10 + 4.8088), abs=0.001)
    assert predict_next([1.0, 2.0]) is None


def test_the_reporters_value_is_marked_where_runs_here_do_not_reach_it():
    inside, outside = figure(50.0, 49.0, 50.0, 51.0), figure(80.0, 49.0, 50.0, 51.0)
    assert (inside.is_outside, outside.is_outside) == (False, True)
    told = render_besides([inside, outside], 3)
    lines = [line for line in told.splitlines() if line.startswith("  steal")]
    assert [line.endswith("!") for line in lines] == [False, True]
    assert "next run: where" in " ".join(told.split())
    assert "no statistics" not in told


def test_one_run_on_each_side_is_said_to_be_no_statistics():
    told = render_besides([figure(50.0, 49.0, doubted=True)], 1)
    assert "One run on each side is no statistics" in told
    assert "-1.0 pt?" in told
    assert max(map(len, told.splitlines())) <= 75
    assert render_besides([], 1) == ""
