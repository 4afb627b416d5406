# SPDX-License-Identifier: GPL-2.0-only
"""Results of selftests out of what they print: TAP or KTAP (Documentation/dev-tools/ktap.rst), as kselftest's own
runner prints it (tools/testing/selftests/kselftest/runner.sh): what a test says itself comes behind number signs,
and then its result, ``ok 1 selftests: cgroup: test_cpuset``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

SelfOutcome = Literal["pass", "fail", "skip"]

_VERSION = re.compile(r"K?TAP version \d+$")
_PLAN = re.compile(r"1\.\.(\d+)")
#: A result, outermost or behind the number signs of nesting. Some tests say the directive before the name.
_RESULT = re.compile(
    r"(?P<nested>(?:\s|#)*)(?P<ok>ok|not ok) \d+ ?(?:- )?(?P<name>[^#]*?)\s*(?:# ?(?P<more>.*))?$"
)
_DIRECTIVE = re.compile(r"(SKIP|XFAIL|XPASS|TODO|TIMEOUT|ERROR)\b[: ]*(.*)")
_GLUED = re.compile(r"^#.*?((?:not )?ok \d+ selftests: \S+: .*)$")
_RUNNER = re.compile(r"selftests: (\S+): (.*)")


@dataclass(frozen=True)
class SelfTest:
    """One result. `name` is ``COLLECTION:TEST`` or ``COLLECTION:TEST.SUBTEST``; `why` what came with it."""

    name: str
    outcome: SelfOutcome
    why: str = ""


@dataclass(frozen=True)
class SelfTests:
    """All results of a run; `missing` is how many tests were announced and left none."""

    results: tuple[SelfTest, ...]
    missing: int = 0

    def count(self, outcome: SelfOutcome) -> int:
        """How many came out so."""
        return Counter(one.outcome for one in self.results)[outcome]


def parse_ktap(text: str) -> SelfTests | None:
    """The results in a run's output; None where it is no TAP at all.

    A test that has results within is told by these; by its own too where it failed and none of them did. A line
    that does not end was cut short and does not count.
    """
    announced, seen = 0, 0
    within: list[SelfTest] = []
    results: list[SelfTest] = []
    found = False
    for line in text[: text.rfind("\n") + 1].splitlines():
        plan, result = _PLAN.match(line), _RESULT.match(_unglued(line))
        found = found or _VERSION.match(line) is not None
        if plan:
            announced += int(plan[1])
        elif result and result["nested"]:
            within.append(_self_test(result))
        elif result:
            seen += 1
            results += _with_parent(_self_test(result), within)
            within = []
    return SelfTests(tuple(results), max(0, announced - seen)) if found else None


def _unglued(line: str) -> str:
    """A result without what a test said before it and did not end by a newline (6.12: cs_prctl_test)."""
    match = _GLUED.search(line)
    return match[1] if match else line


def _self_test(result: re.Match[str]) -> SelfTest:
    name, more = result["name"].strip(), (result["more"] or "").strip()
    directive = _DIRECTIVE.match(more)
    word, why = (directive[1], directive[2].strip()) if directive else ("", more)
    if not name:
        name, why = why or "unnamed", ""
    ok = result["ok"] == "ok"
    if word in ("SKIP", "XFAIL", "TODO"):
        return SelfTest(name, "skip", f"{word}: {why}".rstrip(": ") if word != "SKIP" else why)
    return SelfTest(name, "pass" if ok else "fail", f"{word} {why}".strip() if not ok else "")


def _with_parent(parent: SelfTest, within: Sequence[SelfTest]) -> Iterator[SelfTest]:
    match = _RUNNER.fullmatch(parent.name)
    name = f"{match[1]}:{match[2]}" if match else parent.name
    yield from (SelfTest(f"{name}.{one.name}", one.outcome, one.why) for one in within)
    failed_itself = parent.outcome == "fail" and not any(one.outcome == "fail" for one in within)
    if not within or failed_itself:
        yield SelfTest(name, parent.outcome, parent.why)
