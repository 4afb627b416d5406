# SPDX-License-Identifier: GPL-2.0-only
"""Plain text that survives a mail: ASCII, at most WIDTH columns, whatever it is given."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

#: The widest line: what is left of 78 columns when a mail quotes it once.
WIDTH = 75
MISSING = "-"


@dataclass(frozen=True)
class Column:
    """A column: heading, width, and whether its cells are text (left, clipped) or numbers (right)."""

    heading: str
    width: int
    text: bool = False


@dataclass(frozen=True)
class Table:
    """Columns and rows of cells: one table for text and for pages."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str | float | None]]

    def lines(self) -> list[str]:
        """Headings and rows as text; empty without rows."""
        rows = [row(cells, self.columns) for cells in self.rows]
        return [heading(self.columns), *rows] if rows else []

    def whole(self) -> Iterator[list[str]]:
        """The cells of each row, neither padded nor clipped."""
        for cells in self.rows:
            yield [_whole(value) for value in cells]


def _whole(value: str | float | None) -> str:
    if isinstance(value, str):
        return value
    return MISSING if value is None else f"{value:.{0 if isinstance(value, int) else 1}f}"


def plain(text: str) -> str:
    """`text` in printable ASCII on one line: white space becomes spaces, anything else a question mark."""
    return "".join(char if " " <= char <= "~" else " " if char.isspace() else "?" for char in text)


def clip(text: str, width: int) -> str:
    """`text` in at most `width` columns. The middle goes, since what tells names apart is often the end."""
    text = plain(text)
    if len(text) <= width:
        return text
    tail = (width - 1) // 2
    return f"{text[: width - 1 - tail]}~{text[len(text) - tail :]}"


def number(value: float | None, width: int, decimals: int = 1) -> str:
    """`value` right-aligned in `width` columns, with fewer digits where it does not fit."""
    if value is None:
        return MISSING.rjust(width)
    forms = (f"{value:.{decimals}f}", f"{value:.0f}", f"{value:.3g}", f"{value:.0e}", "#" * width)
    return next(form for form in forms if len(form) <= width).rjust(width)


def cell(value: str | float | None, column: Column) -> str:
    """One cell, exactly as wide as its column."""
    if value is None or isinstance(value, (int, float)):
        decimals = 0 if isinstance(value, int) else 1
        return number(value, column.width, decimals)
    clipped = clip(value, column.width)
    return clipped.ljust(column.width) if column.text else clipped.rjust(column.width)


def row(values: Sequence[str | float | None], columns: Sequence[Column], indent: int = 2) -> str:
    """One line of a table."""
    cells = (cell(value, column) for value, column in zip(values, columns, strict=True))
    return (" " * indent + " ".join(cells)).rstrip()


def heading(columns: Sequence[Column], indent: int = 2) -> str:
    """The headings of a table."""
    return row([column.heading for column in columns], columns, indent)


def wrap(text: str, indent: int = 0, hang: int | None = None, width: int = WIDTH) -> list[str]:
    """`text` in lines of at most `width` columns; those after the first are indented by `hang`."""
    first, rest = " " * indent, " " * (indent + 2 if hang is None else hang)
    return textwrap.wrap(
        plain(text), width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False
    )


def fit(names: Sequence[str], low: int, high: int) -> int:
    """A width for a column that holds `names`, between `low` and `high`."""
    return min(high, max([low, *(len(plain(name)) for name in names)]))
