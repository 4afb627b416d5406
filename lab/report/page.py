# SPDX-License-Identifier: GPL-2.0-only
"""What stands on the page: plain data for the template, already cut to what can be read."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from lab.report.console import Excerpt


@dataclass(frozen=True)
class Heading:
    """A column's heading, and whether its cells are numbers."""

    text: str
    number: bool = False


@dataclass(frozen=True)
class Grid:
    """A table. The first `heads` cells of each row name it; `notes` stand below."""

    caption: str
    headings: tuple[Heading, ...]
    rows: tuple[tuple[str, ...], ...]
    heads: int = 1
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Folded:
    """Something that opens where one wants it: `open` is how it stands at first."""

    title: str
    grids: tuple[Grid, ...] = ()
    drawings: tuple[Markup, ...] = ()
    notes: tuple[str, ...] = ()
    open: bool = True


@dataclass(frozen=True)
class Fact:
    """A name and what it is."""

    name: str
    value: str


@dataclass(frozen=True)
class VerdictLine:
    """One verdict; `outcome` is lower case."""

    outcome: str
    subject: str
    phase: str
    observed: str
    reason: str


@dataclass(frozen=True)
class Expected:
    """Everything about one expectation. `shown` did not pass, or is all there is; `passed` opens on demand, and
    `left_out` says what is not here."""

    text: str
    outcome: str
    counts: str
    shown: tuple[VerdictLine, ...]
    passed: tuple[VerdictLine, ...]
    left_out: str = ""


@dataclass(frozen=True)
class Question:
    """The topology's description and the comment at its top: the question first, then what else it says."""

    description: str
    asked: tuple[str, ...]


@dataclass(frozen=True)
class Page:
    """The whole page, in its order."""

    name: str
    outcome: str
    headline: str
    expected: tuple[Expected, ...]
    question: Question
    summary: tuple[Fact, ...]
    retries: tuple[str, ...]
    placement: Markup
    placement_notes: tuple[str, ...]
    steal: tuple[Folded, ...]
    steal_tables: tuple[Folded, ...]
    steal_notes: tuple[str, ...]
    traced: bool
    preemptions: tuple[Folded, ...]
    loads: tuple[Folded, ...]
    arms: tuple[Grid, ...]
    arms_head: tuple[str, ...]
    arms_notes: tuple[str, ...]
    journal: tuple[Grid, ...]
    doubts: tuple[Grid, ...]
    others: tuple[Grid, ...]
    consoles: tuple[Excerpt, ...]
    environment: tuple[Fact, ...]
    topology_text: str
    measuring: tuple[Fact, ...]
    clocks: tuple[Grid, ...]
    findings: tuple[Grid, ...] = ()
