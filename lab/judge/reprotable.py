# SPDX-License-Identifier: GPL-2.0-only
"""What a replay came to, as plain text and as a document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from lab.judge.besides import Figure
from lab.judge.layout import MISSING, wrap
from lab.judge.reproduced import Matched, Reproduced, Reproduction
from lab.judge.verdict import Outcome, Verdict

_HEADLINES = {
    Reproduced.YES: "REPRODUCED",
    Reproduced.NO: "NOT REPRODUCED",
    Reproduced.UNDECIDED: "UNDECIDED",
}


def render_headline(reproduction: Reproduction) -> str:
    """``REPRODUCED: all 18 verdicts are the reporter's``, in one or two lines; ends in a newline."""
    return "\n".join(wrap(f"{_HEADLINES[reproduction.outcome]}: {_why(reproduction)}")) + "\n"


def _why(reproduction: Reproduction) -> str:
    total, runs = len(reproduction.matched), len(reproduction.runs)
    if not total:
        return "the reporter's recording has no verdicts, and so there are none to reproduce"
    in_runs = "" if runs == 1 else f" in each of {runs} runs"
    if reproduction.outcome is Reproduced.YES:
        found = Counter(one.there.outcome for one in reproduction.matched if one.there is not None)
        return f"{_all(total)} the reporter's{in_runs} ({_count(found)})"
    if runs > 1 and len(set(reproduction.runs)) > 1:
        return f"reproduced in {reproduction.runs.count(Reproduced.YES)} of {runs} runs"
    contrary = sum(
        any(one.agrees(run) is Reproduced.NO for run in range(runs)) for one in reproduction.differing
    )
    skipped = sum(_is_skipped(one) for one in reproduction.differing)
    open_ones = len(reproduction.differing) - contrary - skipped
    parts = [f"{contrary} of {total} verdicts came out otherwise"] if contrary else []
    parts += [f"{skipped} of {total} were skipped on one side"] if skipped else []
    parts += [f"{open_ones} of {total} are undecided on one side"] if open_ones else []
    return ", ".join(parts) + in_runs


def _is_skipped(one: Matched) -> bool:
    """Whether it is for that alone that it cannot be compared."""
    runs = range(len(one.here))
    outcomes = {None if verdict is None else verdict.outcome for verdict in (one.there, *one.here)}
    return Outcome.SKIPPED in outcomes and all(one.agrees(run) is not Reproduced.NO for run in runs)


def _all(total: int) -> str:
    return "the only verdict is" if total == 1 else f"all {total} verdicts are"


def _count(found: Counter[Outcome]) -> str:
    return ", ".join(f"{number} {outcome.value}" for outcome, number in found.items())


def render_differing(reproduction: Reproduction) -> str:
    """Every verdict that is not the reporter's in all runs, by what was expected; empty where there is none."""
    lines: list[str] = []
    expectation = None
    for one in reproduction.differing:
        if one.expectation != expectation:
            expectation = one.expectation
            lines += wrap(expectation)
        lines += _lines(one)
    return "\n".join([*lines, ""]) if lines else ""


def _lines(one: Matched) -> Iterator[str]:
    about = f"{one.subject}, {one.phase}" if one.phase else one.subject
    yield from wrap(about, 2, 4)
    yield from wrap(f"reporter {_tell(one.there)}", 4, 8)
    if len(one.here) == 1:
        yield from wrap(f"here     {_tell(one.here[0])}", 4, 8)
        return
    for told, number in Counter(_tell(verdict) for verdict in one.here).items():
        yield from wrap(f"here     {told}{f' ({number} runs)' if number > 1 else ''}", 4, 8)


def _tell(verdict: Verdict | None) -> str:
    if verdict is None:
        return "not judged"
    reason = f" ({_first_line(verdict.reason)})" if verdict.reason else ""
    return f"{verdict.outcome.name:<9} {verdict.observed or MISSING}{reason}"


def _first_line(reason: str) -> str:
    """The rest is told once, or is in the recording's own verdicts."""
    first, *more = reason.splitlines()
    return f"{first} ..." if more else first


def reproduction_document(reproduction: Reproduction) -> dict[str, Any]:
    """Keys: reproduced (yes, no, undecided), runs[] (the same of each run), verdicts[] with reporter and here[]."""
    return {
        "reproduced": reproduction.outcome.value,
        "runs_reproduced": [one.value for one in reproduction.runs],
        "verdicts": [_matched_document(one) for one in reproduction.matched],
    }


def _matched_document(one: Matched) -> dict[str, Any]:
    return {
        "expectation": one.expectation,
        "subject": one.subject,
        "phase": one.phase or None,
        "same": one.is_same,
        "reporter": _verdict_document(one.there),
        "here": [_verdict_document(verdict) for verdict in one.here],
    }


def _verdict_document(verdict: Verdict | None) -> dict[str, Any] | None:
    if verdict is None:
        return None
    return {"outcome": verdict.outcome.value, "observed": verdict.observed, "reason": verdict.reason}


def figure_document(figure: Figure) -> dict[str, Any]:
    """phase, what, unit, reporter, here[], mean, change (points where the unit is %, else per cent), next_run."""
    interval = figure.next_run
    return {
        "phase": figure.phase,
        "what": figure.what,
        "unit": figure.unit,
        "reporter": figure.there,
        "here": list(figure.here),
        "mean": figure.mean,
        "change": figure.change,
        "next_run": None if interval is None else asdict(interval),
        "doubted": figure.doubted,
    }
