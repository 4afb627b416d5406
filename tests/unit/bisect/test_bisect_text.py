# SPDX-License-Identifier: GPL-2.0-only
"""What was tried, as text and as a document."""

from __future__ import annotations

import json

from lab.bisect.document import (
    attempt_document,
    conclusion_document,
    parse_attempt,
    parse_conclusion,
    report_document,
)
from lab.bisect.model import Attempt, Count, Ending, Rules, Seen
from lab.bisect.steps import Conclusion, Kind
from lab.bisect.text import chance, render_tried

GOOD, BROKEN, BAD = ("a" * 40, "b" * 40, "c" * 40)
ABOUT = {"topology": "fold", "tree": "linux", "bad": BAD, "goods": [GOOD]}
SEEN = Seen(
    "failed", "steal of every vCPU in folded: <= 5 %", "guest1", "folded", "guest 49.6 % and host 49.5 %"
)
ATTEMPTS = (
    Attempt(
        BAD, "sched: Worse", Ending.BAD, "too much", "2026-11-24T20:00:00", 100.4, 60.2, "runs/c-1", (SEEN,)
    ),
    Attempt(
        GOOD, "sched: Fine", Ending.UNDECIDED, "disturbed by cc1", build_s=20, run_s=61, recording="runs/a-1"
    ),
    Attempt(
        GOOD,
        "sched: Fine",
        Ending.GOOD,
        run_s=60,
        recording="runs/a-2",
        seen=(Seen("passed", SEEN.expectation, SEEN.subject, "folded", "guest 0.1 % and host 0.1 %"),),
    ),
    Attempt(BROKEN, "lib: Typo", Ending.BROKEN, "kernel mine: compiling failed:\na.c:1: error: x", build_s=9),
)
TEXT = """\
bisection of linux with fold; good aaaaaaaaaaaa, bad cccccccccccc
3 commits tried in 4 runs: 2 min of building, 3 min of running

commit        is    good  bad  none  build s  run s  subject
cccccccccccc  bad      0    1     0      100     60  sched: Worse
aaaaaaaaaaaa  good     1    0     1       20    121  sched: Fine
bbbbbbbbbbbb  skip     0    0     1        9      0  lib: Typo

cccccccccccc bad
  bad: runs/c-1
    failed  steal of every vCPU in folded: <= 5 %: guest1: guest 49.6 % and host 49.5 %

aaaaaaaaaaaa good
  undecided: runs/a-1
    disturbed by cc1
  good: runs/a-2
    passed  steal of every vCPU in folded: <= 5 %: guest1: guest 0.1 % and host 0.1 %

bbbbbbbbbbbb skip
  not built
    kernel mine: compiling failed:
    a.c:1: error: x

first bad commit: cccccccccccc sched: Worse
  its runs: 1 bad
  its parent aaaaaaaaaaaa sched: Fine: 1 good, 1 without a verdict
"""


def render(conclusion: Conclusion | None, attempts: tuple[Attempt, ...] = ATTEMPTS) -> str:
    return render_tried(ABOUT, attempts, Rules(), conclusion)


def test_everything_that_was_tried_is_told_with_what_decided_it() -> None:
    found = Conclusion(Kind.FOUND, (BAD,), (GOOD,), sure=True)
    told = render(found)
    assert told.startswith(TEXT)
    assert told.removeprefix(TEXT).startswith("  sure: no run disagrees, 1 run on either side")


def test_what_is_not_sure_says_why() -> None:
    assert "  not sure: runs disagree\n" in render(
        Conclusion(Kind.FOUND, (BAD,), (GOOD,), False, "runs disagree")
    )
    told = render(Conclusion(Kind.CONTRADICTED, (BAD,), (GOOD,), False, "it is good"))
    assert "  contradicted: it is good\n" in told


def test_other_ends_are_told() -> None:
    told = render(Conclusion(Kind.RANGE, (BROKEN, BAD)))
    assert told.endswith("were skipped:\n  bbbbbbbbbbbb lib: Typo\n  cccccccccccc sched: Worse\n")
    assert render(Conclusion(Kind.END_IS_WRONG, (GOOD,), reason="is bad")).endswith("sched: Fine: is bad\n")
    told = render(Conclusion(Kind.BASE_IS_BAD, (GOOD,), reason="The merge base x is bad."))
    assert told.endswith("not a regression between the two: The merge base x is bad.\n")
    assert render(None, ()).endswith("0 commits tried in 0 runs: 0 s of building, 0 s of running\n\n" + HEADS)
    assert "not finished" not in render_tried({"topology": "fold"}, ATTEMPTS, Rules(), None)


HEADS = "commit  is  good  bad  none  build s  run s  subject\n\nnot finished yet\n"


def test_more_runs_exclude_more() -> None:
    assert "more than 95 % of its runs" in chance(Count(bad=1), 1)
    assert (
        "2 runs on either side\n  (with 95 % probability a commit that ends the other way in more than 78 %"
        in chance(Count(bad=2), 5)
    )
    assert "more than 26 %" in chance(Count(bad=10), 10)


def test_documents_are_read_back() -> None:
    for one in ATTEMPTS:
        assert parse_attempt(json.loads(json.dumps(attempt_document(one)))) == one
    end = Conclusion(Kind.FOUND, (BAD,), (GOOD,), True, "")
    assert parse_conclusion(json.loads(json.dumps(conclusion_document(end)))) == end
    report = report_document(ABOUT, ATTEMPTS, Rules(), end)
    assert [one["term"] for one in report["commits"]] == ["bad", "good", "skip"]
    assert report["commits"][1]["without"] == 1
    assert [run["recording"] for run in report["commits"][1]["runs"]] == ["runs/a-1", "runs/a-2"]
    assert "key" not in report["commits"][0]["runs"][0]
