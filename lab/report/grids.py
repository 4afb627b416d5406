# SPDX-License-Identifier: GPL-2.0-only
"""The judge's tables as grids of a page."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from lab.judge.layout import Table
from lab.report.page import Grid, Heading

#: Rows of one grid.
MOST_ROWS = 300


def grid_of(table: Table, caption: str, heads: int = 1, notes: Sequence[str] = ()) -> Grid | None:
    """`table` as a grid; None without rows."""
    headings = tuple(Heading(one.heading, not one.text) for one in table.columns)
    return grid(caption, headings, [tuple(cells) for cells in table.whole()], heads, notes)


def grid(
    caption: str,
    headings: Sequence[Heading],
    rows: Sequence[tuple[str, ...]],
    heads: int = 1,
    notes: Sequence[str] = (),
) -> Grid | None:
    """A grid of at most MOST_ROWS rows, which says how many more there are; None without rows."""
    if not rows:
        return None
    kept = tuple(islice(rows, MOST_ROWS))
    left = len(rows) - len(kept)
    said = (*notes, f"{left} more rows are not shown: `lab check --json` has them") if left else tuple(notes)
    return Grid(caption, tuple(headings), kept, heads, said)


def present(*grids: Grid | None) -> tuple[Grid, ...]:
    """Those that have rows."""
    return tuple(one for one in grids if one is not None)


def columns(*names: str) -> tuple[Heading, ...]:
    """Headings; one that begins with # is of numbers."""
    return tuple(Heading(name.removeprefix("#"), name.startswith("#")) for name in names)
