# SPDX-License-Identifier: GPL-2.0-only
"""Attempts and conclusions as plain containers, for files and for programs; and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from lab.bisect.model import Attempt, Ending, Rules, Seen, count_attempts, decide
from lab.bisect.steps import Conclusion, Kind

#: Version of the document; it grows when a key changes its meaning or goes away.
FORMAT = 1


def attempt_document(attempt: Attempt) -> dict[str, Any]:
    """An attempt, ready for `json.dumps`."""
    return {**asdict(attempt), "ending": attempt.ending.value, "seen": [asdict(one) for one in attempt.seen]}


def parse_attempt(document: Mapping[str, Any]) -> Attempt:
    """What `attempt_document` made. Raises ValueError, TypeError or KeyError."""
    seen = tuple(Seen(**one) for one in document["seen"])
    return Attempt(**{**document, "ending": Ending(document["ending"]), "seen": seen})


def conclusion_document(conclusion: Conclusion) -> dict[str, Any]:
    """A conclusion, likewise."""
    return {
        "kind": conclusion.kind.value,
        "commits": list(conclusion.commits),
        "parents": list(conclusion.parents),
        "sure": conclusion.sure,
        "reason": conclusion.reason,
    }


def parse_conclusion(document: Mapping[str, Any]) -> Conclusion:
    """What `conclusion_document` made. Raises ValueError, TypeError or KeyError."""
    return Conclusion(
        Kind(document["kind"]),
        tuple(document["commits"]),
        tuple(document["parents"]),
        bool(document["sure"]),
        str(document["reason"]),
    )


def report_document(
    about: Mapping[str, Any], attempts: tuple[Attempt, ...], rules: Rules, conclusion: Conclusion | None
) -> dict[str, Any]:
    """All that was tried. Keys: format, about{}, commits[] in the order in which they were first run, each with
    commit, subject, term (good, bad, skip or None), reason, runs[]; conclusion, None while there is none."""
    return {
        "format": FORMAT,
        "about": dict(about),
        "commits": [
            _commit_document(key, attempts, rules) for key in dict.fromkeys(one.key for one in attempts)
        ],
        "conclusion": None if conclusion is None else conclusion_document(conclusion),
    }


def _commit_document(key: str, attempts: tuple[Attempt, ...], rules: Rules) -> dict[str, Any]:
    decision, count = decide(attempts, key, rules), count_attempts(attempts, key)
    mine = [one for one in attempts if one.key == key]
    return {
        "commit": key,
        "subject": mine[-1].subject,
        "term": decision.term.value if decision else None,
        "reason": decision.reason if decision else "",
        "good": count.good,
        "bad": count.bad,
        "without": count.without,
        "runs": [
            {name: value for name, value in attempt_document(one).items() if name not in ("key", "subject")}
            for one in mine
        ],
    }
