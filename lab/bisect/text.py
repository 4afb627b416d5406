# SPDX-License-Identifier: GPL-2.0-only
"""What was tried and what came out, as text for a terminal or a mail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lab.bisect.model import Attempt, Count, Ending, Rules, Seen, Term, count_attempts, decide
from lab.bisect.steps import Conclusion, Kind

_SHORT = 12
#: Expectations that are shown beside each commit; more would not fit a line.
_SHOWN = 2
#: Of a message that says why there is no verdict.
_REASON_LINES = 3
_HEADS = ("commit", "is", "good", "bad", "none", "build s", "run s")


def render_tried(
    about: Mapping[str, Any], attempts: tuple[Attempt, ...], rules: Rules, conclusion: Conclusion | None
) -> str:
    """Head, a table with a line for each commit, and the conclusion. Ends in a newline."""
    keys = list(dict.fromkeys(one.key for one in attempts))
    lines = [_head(about), _summary(keys, attempts), ""]
    rows = [_row(key, attempts, rules) for key in keys]
    lines += _table(rows)
    for key in keys:
        lines += ["", *_commit_lines(key, attempts, rules)]
    if conclusion is not None:
        lines += ["", *_conclusion_lines(conclusion, attempts)]
    elif about.get("bad"):  # under `git bisect run` it is git that knows
        lines += ["", "not finished yet"]
    return "\n".join(lines) + "\n"


def _head(about: Mapping[str, Any]) -> str:
    parts = [f"bisection of {about.get('tree') or 'an unknown tree'} with {about.get('topology', '?')}"]
    if about.get("bad"):
        goods = ", ".join(one[:_SHORT] for one in about.get("goods", ()))
        parts.append(f"good {goods}, bad {about['bad'][:_SHORT]}")
    return "; ".join(parts)


def _summary(keys: Sequence[str], attempts: tuple[Attempt, ...]) -> str:
    build_s, run_s = (sum(getattr(one, name) for one in attempts) for name in ("build_s", "run_s"))
    return (
        f"{_counted(len(keys), 'commit')} tried in {_counted(len(attempts), 'run')}: "
        f"{_minutes(build_s)} of building, {_minutes(run_s)} of running"
    )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _row(key: str, attempts: tuple[Attempt, ...], rules: Rules) -> tuple[str, ...]:
    mine = [one for one in attempts if one.key == key]
    decision, count = decide(attempts, key, rules), count_attempts(attempts, key)
    build_s, run_s = (sum(getattr(one, name) for one in mine) for name in ("build_s", "run_s"))
    numbers = (str(count.good), str(count.bad), str(count.without), f"{build_s:.0f}", f"{run_s:.0f}")
    return (short(key), decision.term.value if decision else "?", *numbers, mine[-1].subject)


def short(key: str) -> str:
    """A commit's name as people write it; what a changed tree adds to it stays."""
    name, plus, rest = key.partition("+")
    return name[:_SHORT] + plus + rest[:_SHORT]


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    heads = (*_HEADS, "subject")
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(_HEADS))]
    for row in (heads, *rows):
        cells = [
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=False))
        ]
        yield "  ".join([*cells, row[-1]]).rstrip()


def _commit_lines(key: str, attempts: tuple[Attempt, ...], rules: Rules) -> Iterator[str]:
    """What its runs saw of the expectations that failed anywhere, or why nothing; where that is recorded."""
    telling = _telling(attempts)
    decision = decide(attempts, key, rules)
    yield f"{short(key)} {decision.term.value if decision else 'undecided yet'}"
    for one in (one for one in attempts if one.key == key):
        yield f"  {one.ending.value}{f': {one.recording}' if one.recording else ''}"
        shown = [seen for seen in one.seen if _place(seen) in telling]
        for seen in shown:
            observed = f": {seen.observed}" if seen.observed else ""
            yield f"    {seen.outcome}  {seen.expectation}: {seen.subject}{observed}"
        if not one.is_verdict and one.reason:
            yield from (f"    {line}" for line in one.reason.splitlines()[:_REASON_LINES])


def _place(seen: Seen) -> tuple[str, str, str]:
    return (seen.expectation, seen.subject, seen.phase)


def _telling(attempts: tuple[Attempt, ...]) -> tuple[tuple[str, str, str], ...]:
    """What failed in most of the bad runs."""
    counts: dict[tuple[str, str, str], int] = {}
    for one in attempts:
        if one.ending is Ending.BAD:
            for seen in one.seen:
                if seen.outcome == "failed":
                    counts[_place(seen)] = counts.get(_place(seen), 0) + 1
    return tuple(sorted(counts, key=lambda place: -counts[place])[:_SHOWN])


# ---- the end


def _conclusion_lines(conclusion: Conclusion, attempts: tuple[Attempt, ...]) -> Iterator[str]:
    subjects = {one.key: one.subject for one in attempts}
    if conclusion.kind in (Kind.FOUND, Kind.CONTRADICTED):
        yield from _found_lines(conclusion, attempts, subjects)
    elif conclusion.kind is Kind.RANGE:
        yield "the first bad commit is one of these; all but the last were skipped:"
        for commit in conclusion.commits:
            yield f"  {_titled(commit, subjects)}"
    elif conclusion.kind is Kind.BASE_IS_BAD:
        yield f"not a regression between the two: {conclusion.reason}"
    else:
        (commit,) = conclusion.commits
        yield f"{_titled(commit, subjects)}: {conclusion.reason}"


def _found_lines(
    conclusion: Conclusion, attempts: tuple[Attempt, ...], subjects: Mapping[str, str]
) -> Iterator[str]:
    (found,) = conclusion.commits
    yield f"first bad commit: {_titled(found, subjects)}"
    yield f"  its runs: {count_attempts(attempts, found)}"
    for parent in conclusion.parents:
        yield f"  its parent {_titled(parent, subjects)}: {count_attempts(attempts, parent)}"
    yield f"  {_how_sure(conclusion, attempts)}"


def _how_sure(conclusion: Conclusion, attempts: tuple[Attempt, ...]) -> str:
    if conclusion.kind is Kind.CONTRADICTED:
        return f"contradicted: {conclusion.reason}"
    if not conclusion.sure:
        return f"not sure: {conclusion.reason}"
    (found,) = conclusion.commits
    bad = count_attempts(attempts, found)
    fewest = min([count_attempts(attempts, one).good for one in conclusion.parents], default=0)
    return f"sure: no run disagrees, {chance(bad, fewest)}"


def chance(bad: Count, fewest_good: int) -> str:
    """How much the runs on either side exclude: with n runs that agree, a share of other outcomes of more than
    1 - 0.05 ** (1/n) would have shown with 95 % probability (the exact form of the rule of three)."""
    runs = min(bad.bad, fewest_good) if fewest_good else bad.bad
    most = 100 * (1 - 0.05 ** (1 / runs))
    return (
        f"{_counted(runs, 'run')} on either side\n"
        "  (with 95 % probability a commit that ends the other way in more than "
        f"{most:.0f} % of its runs would have shown it)"
    )


def _titled(commit: str, subjects: Mapping[str, str]) -> str:
    return f"{commit[:_SHORT]} {subjects.get(commit, '')}".rstrip()


def render_decision(key: str, subject: str, term: Term, count: Count, reason: str) -> str:
    """One line about one commit that was decided."""
    return f"{short(key)} is {term.value} ({count}){f': {reason}' if reason else ''}  {subject}".rstrip()
