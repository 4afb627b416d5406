# SPDX-License-Identifier: GPL-2.0-only
"""Verdicts in the kernel's own format of test results (Documentation/dev-tools/ktap.rst), version 1.

Every expectation is a test, every check of it a subtest. A check that is UNDECIDED is ``not ok`` with the
directive ERROR: readers that know of no such directive take it for a failure, and none for a pass or for
something that was skipped. What tells it from a failure besides is the exit code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

from lab.judge.layout import plain
from lab.judge.verdict import Judgement, Outcome, Verdict
from lab.plan.labplan import LabPlan

_VERSION = "KTAP version 1"
#: One level of nesting.
_INDENT = "  "


def render_ktap(plan: LabPlan, judgement: Judgement) -> str:
    """KTAP of all verdicts, ending in kselftest's line of totals."""
    groups = [
        (name, tuple(verdicts))
        for name, verdicts in groupby(judgement.verdicts, key=lambda verdict: _named(verdict.expectation))
    ]
    lines = [_VERSION, _comment(f"{plan.name}, lab {plan.lab_id} on {plan.host.where}"), f"1..{len(groups)}"]
    for number, (name, verdicts) in enumerate(groups, 1):
        lines += _expectation(number, name, verdicts)
    return "".join(f"{line}\n" for line in [*lines, _totals(judgement)])


def render_ktap_unjudged(name: str, how: str, message: str) -> str:
    """KTAP of a run without a verdict: one test in error. `how` is a word or two, the message may have lines."""
    first, *rest = message.splitlines() or [""]
    result = f"not ok 1 {_named(name)} # ERROR {plain(how)}: {plain(first)}"
    return "".join(f"{line}\n" for line in (_VERSION, "1..1", *map(_comment, rest), result))


def _expectation(number: int, name: str, verdicts: Sequence[Verdict]) -> Iterator[str]:
    yield f"{_INDENT}{_VERSION}"
    yield f"{_INDENT}# Subtest: {name}"
    yield f"{_INDENT}1..{len(verdicts)}"
    for place, verdict in enumerate(verdicts, 1):
        yield f"{_INDENT}{_result(place, verdict)}"
    outcome = Judgement(tuple(verdicts)).outcome
    said = _directive(outcome, "every check was skipped", "a check was not decided")
    yield f"{_ok(outcome)} {number} {name}{said}"


def _result(number: int, verdict: Verdict) -> str:
    where = f"{verdict.subject}, {verdict.phase}" if verdict.phase else verdict.subject
    said = _directive(verdict.outcome, verdict.reason, verdict.reason)
    return f"{_ok(verdict.outcome)} {number} {_named(where)}{said or f' # {plain(_observed(verdict))}'}"


def _observed(verdict: Verdict) -> str:
    reason = f"; {verdict.reason}" if verdict.reason else ""
    return f"observed: {verdict.observed}{reason}"


def _ok(outcome: Outcome) -> str:
    return "ok" if outcome in (Outcome.PASSED, Outcome.SKIPPED) else "not ok"


def _directive(outcome: Outcome, skipped: str, undecided: str) -> str:
    """What follows the name of a test that neither passed nor failed; nothing for others."""
    if outcome is Outcome.SKIPPED:
        return f" # SKIP {plain(skipped)}".rstrip()
    if outcome is Outcome.UNDECIDED:
        return f" # ERROR undecided: {plain(undecided)}"
    return ""


def _totals(judgement: Judgement) -> str:
    """As tools/testing/selftests/kselftest.h prints it, ksft_print_cnts()."""
    counts = Counter(verdict.outcome for verdict in judgement.verdicts)
    return (
        f"# Totals: pass:{counts[Outcome.PASSED]} fail:{counts[Outcome.FAILED]} xfail:0 xpass:0 "
        f"skip:{counts[Outcome.SKIPPED]} error:{counts[Outcome.UNDECIDED]}"
    )


def _named(text: str) -> str:
    """A name of a test: one line without the sign that ends it."""
    return plain(text).replace("#", "?").strip() or "unnamed"


def _comment(text: str) -> str:
    return f"# {plain(text)}".rstrip()
