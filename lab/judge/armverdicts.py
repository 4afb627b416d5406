# SPDX-License-Identifier: GPL-2.0-only
"""What else a recording with arms has to tell, in short: a verdict for each vCPU and repeat would be a
book."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

from lab.judge.evidence import Evidence
from lab.judge.layout import wrap
from lab.judge.verdict import Judgement, Outcome, Verdict

#: As wide as the table of arms.
_WIDTH = 75
#: So many of one expectation that did not pass are told one by one.
_EXAMPLES = 3
_ORDER = (Outcome.FAILED, Outcome.UNDECIDED, Outcome.SKIPPED, Outcome.PASSED)


def render_windows(evidence: Evidence) -> str:
    """How many windows were measured, and how many of them are doubted; environment retries first. Ends in a
    newline."""
    planned = [one.name for one in evidence.plan.phases]
    measured = [name for name in planned if evidence.phase(name) is not None]
    doubted = [name for name in measured if evidence.work_doubts(name) or evidence.skipped(name)]
    text = f"{len(measured)} of {len(planned)} windows measured, warm-up included"
    text += f"; {len(doubted)} of them doubted" if doubted else ""
    lines = [f"! retried: {retry}" for retry in evidence.measurements.retries]
    return "".join(f"{line}\n" for one in (*lines, text) for line in wrap(one, 0, 2, _WIDTH))


def render_short_verdicts(judgement: Judgement) -> str:
    """Each expectation with how its verdicts came out, and the first that did not pass with their reasons.
    One that is alone is told whatever it is.

    ASCII, at most 75 columns; the empty text where there is no verdict.
    """
    lines: list[str] = []
    for expectation, verdicts in groupby(judgement.verdicts, key=lambda verdict: verdict.expectation):
        lines += wrap(expectation or "(unnamed expectation)", 0, 2, _WIDTH)
        lines += [line for text in _told(list(verdicts)) for line in wrap(text, 2, 12, _WIDTH)]
    return "".join(f"{line}\n" for line in lines)


def _told(verdicts: Sequence[Verdict]) -> Iterator[str]:
    if len(verdicts) == 1:
        yield _one(verdicts[0])
        return
    counts = Counter(verdict.outcome for verdict in verdicts)
    yield ", ".join(f"{counts[outcome]} {outcome.value}" for outcome in _ORDER if counts[outcome])
    for outcome in _ORDER[:-1]:
        those = [verdict for verdict in verdicts if verdict.outcome is outcome]
        yield from map(_one, those[:_EXAMPLES])
        if len(those) > _EXAMPLES:
            yield f"{outcome.name:<9} {len(those) - _EXAMPLES} more (all of them: --json)"


def _one(verdict: Verdict) -> str:
    where = f"{verdict.subject}, {verdict.phase}" if verdict.phase else verdict.subject
    because = f" because: {verdict.reason}" if verdict.reason else ""
    return f"{verdict.outcome.name:<9} {where}: {verdict.observed}{because}"
