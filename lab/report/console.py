# SPDX-License-Identifier: GPL-2.0-only
"""What of a console is worth a look: how it ends, and lines in which a kernel complains."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lab.report.visible import visible, without_escapes

#: Lines at the end, lines that complain, and characters of each line.
LAST, COMPLAINTS, LONGEST = 15, 30, 300
#: More than this of a console is looked at only at its beginning and its end.
_MOST_CHARS = 1_000_000
_COMPLAINT = re.compile(
    r"\b(?:BUG|Oops|WARNING|Kernel panic|Call Trace|general protection|stack segment|double fault|invalid opcode"
    r"|INFO: task|INFO: rcu|rcu: INFO|soft lockup|hard LOCKUP|hung_task|Unable to handle|segfault|Out of memory"
    r"|oom-killer|KASAN|KCSAN|UBSAN|lockdep|possible circular|triple fault|clocksource: .*unstable|tainted)\b"
    r"|\[ cut here \]|\bKVM internal error\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Console:
    """One machine's console as it was recorded."""

    name: str
    text: str


@dataclass(frozen=True)
class Excerpt:
    """`complaints` are (number, line) pairs from anywhere, `last` those at its end; `lines` is how many it has."""

    name: str
    lines: int
    complaints: tuple[tuple[int, str], ...]
    more_complaints: int
    last: tuple[tuple[int, str], ...]


def excerpt(console: Console) -> Excerpt:
    """The excerpt of one console; lines are numbered from 1."""
    lines = _lines(console.text)
    numbered = list(enumerate(lines, 1))
    complaints = [one for one in numbered if _COMPLAINT.search(one[1])]
    return Excerpt(
        console.name,
        len(lines),
        tuple((number, _shown(line)) for number, line in complaints[:COMPLAINTS]),
        max(0, len(complaints) - COMPLAINTS),
        tuple((number, _shown(line)) for number, line in numbered[-LAST:]),
    )


def _lines(text: str) -> list[str]:
    if len(text) > _MOST_CHARS:
        half = _MOST_CHARS // 2
        text = f"{text[:half]}\n[{len(text) - _MOST_CHARS} characters left out]\n{text[-half:]}"
    lines = without_escapes(text).split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def _shown(line: str) -> str:
    clean = visible(line.rstrip())
    return clean if len(clean) <= LONGEST else f"{clean[:LONGEST]}… ({len(clean) - LONGEST} more)"
