# SPDX-License-Identifier: GPL-2.0-only
"""What kernels reported on consoles, as a table: what it was, where, and what called what."""

from __future__ import annotations

from lab.judge.findings import finding_outcome, group_alike, headline
from lab.report.grids import columns, grid, present
from lab.report.material import Material
from lab.report.page import Grid
from lab.report.visible import visible

#: Characters of a cell.
_LONGEST = 1200


def finding_grids(material: Material) -> tuple[Grid, ...]:
    """One row for reports that are alike; none where no kernel reported anything."""
    headings = columns("console", "kind", "counts as", "report", "#times", "call trace, innermost first")
    rows = []
    for alike in group_alike(material.measurements.findings):
        first = alike[0]
        outcome, why = finding_outcome(material.plan, first)
        counts = f"{outcome.value}: {why}" if why else outcome.value
        trace = " ← ".join(text for text in first.frames() if not text.startswith("?"))
        cells = (first.where, first.report.kind, counts, headline(first), str(len(alike)), trace)
        rows.append(tuple(visible(cell)[:_LONGEST] for cell in cells))
    return present(grid("What kernels reported", headings, rows))
