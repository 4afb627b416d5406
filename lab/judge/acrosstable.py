# SPDX-License-Identifier: GPL-2.0-only
"""Comparisons between recordings as text for mails."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lab.judge.acrossrecordings import Side
from lab.judge.arms import ArmsReport
from lab.judge.armtable import Words, render_comparisons
from lab.judge.recorded import Recorded

_INSIDE = Words("repeat", "`repeats: {aa: true}` does it")
_BETWEEN = Words("value", "a further side that is equal to the baseline, and --aa with its name, do it")


def render_inside(report: ArmsReport, label: str, recorded: Recorded, *, details: bool = False) -> str:
    """The arms of one recording."""
    head = [f"{recorded.name}: {recorded.machinery} ({recorded.where})", f"recording {label}"]
    return render_comparisons(report, head, _title, _INSIDE, details=details)


def render_sides(report: ArmsReport, sides: Sequence[Side], *, details: bool = False) -> str:
    """Sides against the baseline; what they ran on stands above, and whether that differs."""
    return render_comparisons(report, list(_head(sides)), _title, _BETWEEN, details=details)


def _title(phase: str) -> str:
    return f"Phase {phase}"


def _head(sides: Sequence[Side]) -> Iterator[str]:
    for side in sides:
        recordings = f"{len(side.recordings)} recording{'s' if len(side.recordings) > 1 else ''}"
        yield f"{side.name}: {recordings} of {', '.join(_machinery(side))}"
    if len({machinery for side in sides for machinery in _machinery(side)}) > 1:
        yield "! not all of them are of the same topology on the same machinery"


def _machinery(side: Side) -> list[str]:
    every = (f"{one.name}: {one.machinery} ({one.where})" for _, one in side.recordings)
    return list(dict.fromkeys(every))
