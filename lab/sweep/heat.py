# SPDX-License-Identifier: GPL-2.0-only
"""A metric over the grid as text: the last parameter goes across, the one before it down, and each combination of
the others has a table of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import fmean

from lab.sweep.grid import point_key
from lab.sweep.outcome import Measured
from lab.sweep.spec import Value

#: From the lowest value to the highest.
SHADES = ".:-=+*#%@"
#: No sound value, although something was measured; nothing was measured.
DOUBTED, MISSING = "?", "-"


@dataclass(frozen=True)
class Table:
    """One table: `fixed` parameters, `rows` x `columns` of the other two, and the mean at each place; None where
    there is none, and a mark that says why.

    `across` is the name of what goes across, `down` of what goes down; that is empty where there is one parameter.
    """

    fixed: Mapping[str, Value]
    down: str
    across: str
    rows: tuple[Value, ...]
    columns: tuple[Value, ...]
    means: tuple[tuple[float | None, ...], ...]
    marks: tuple[tuple[str, ...], ...]


def plan_tables(parameters: Mapping[str, Sequence[Value]], measured: Measured) -> tuple[Table, ...]:
    """The tables of a grid."""
    *others, across = parameters
    down = others.pop() if others else ""
    tables = []
    for values in product(*(parameters[name] for name in others)):
        fixed = dict(zip(others, values, strict=True))
        rows = tuple(parameters[down]) if down else ("",)
        tables.append(_table(fixed, down, across, rows, tuple(parameters[across]), measured))
    return tuple(tables)


def _table(
    fixed: Mapping[str, Value],
    down: str,
    across: str,
    rows: tuple[Value, ...],
    columns: tuple[Value, ...],
    measured: Measured,
) -> Table:
    def at(row: Value, column: Value) -> tuple[float | None, str]:
        here = {**fixed, **({down: row} if down else {}), across: column}
        point = measured.points.get(point_key(here))
        if point is None or not (point.values or point.doubted):
            return None, MISSING
        return (fmean(point.values), "") if point.values else (None, DOUBTED)

    cells = [[at(row, column) for column in columns] for row in rows]
    return Table(
        fixed=fixed,
        down=down,
        across=across,
        rows=rows,
        columns=columns,
        means=tuple(tuple(mean for mean, _ in row) for row in cells),
        marks=tuple(tuple(mark for _, mark in row) for row in cells),
    )


def render_heat(parameters: Mapping[str, Sequence[Value]], measured: Measured) -> str:
    """All tables, with a shade from the lowest value of all (``.``) to the highest (``@``). ASCII; ends in a
    newline."""
    tables = plan_tables(parameters, measured)
    means = [mean for table in tables for row in table.means for mean in row if mean is not None]
    low, high = (min(means), max(means)) if means else (0.0, 0.0)
    unit = f", {measured.unit}" if measured.unit else ""
    lines = [f"{measured.sought.text}{unit}, mean; {measured.better} is better"]
    for table in tables:
        lines += ["", *_render(table, low, high)]
    counts = [len(point.values) for point in measured.points.values()]
    doubted = sum(point.doubted for point in measured.points.values())
    left_out = f"; {doubted} doubted values left out" if doubted else ""
    lines += ["", f"N {min(counts)} .. {max(counts)} at a point{left_out}"]
    return "\n".join(lines) + "\n"


def _render(table: Table, low: float, high: float) -> Iterator[str]:
    if table.fixed:
        yield " ".join(f"{name}={value}" for name, value in table.fixed.items())
    names = [f"{table.down}={row}" if table.down else "" for row in table.rows]
    heads = [f"{table.across}={column}" for column in table.columns]
    cells = [
        [_cell(mean, mark, low, high) for mean, mark in zip(means, marks, strict=True)]
        for means, marks in zip(table.means, table.marks, strict=True)
    ]
    left = max(map(len, names))
    width = max(map(len, [*heads, *(cell for row in cells for cell in row)]))
    yield "  ".join([" " * left, *(head.rjust(width) for head in heads)]).rstrip()
    for name, row in zip(names, cells, strict=True):
        yield "  ".join([name.ljust(left), *(cell.rjust(width) for cell in row)]).rstrip()


def _cell(mean: float | None, mark: str, low: float, high: float) -> str:
    return f"{mark}  " if mean is None else f"{_number(mean)} {shade(mean, low, high)}"


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def shade(value: float, low: float, high: float) -> str:
    """The character for `value` between `low` and `high`."""
    if high <= low:
        return SHADES[len(SHADES) // 2]
    return SHADES[min(len(SHADES) - 1, int((value - low) / (high - low) * len(SHADES)))]
