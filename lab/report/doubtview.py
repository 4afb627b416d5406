# SPDX-License-Identifier: GPL-2.0-only
"""Doubts, disturbances and what else ran on the pCPUs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lab.judge.table import doubts_of
from lab.measure.windows import HogWindow
from lab.report.grids import columns, grid, present
from lab.report.material import Material
from lab.report.page import Grid

#: Windows that are named of each doubt.
_NAMED = 6


def doubt_grids(material: Material) -> tuple[Grid, ...]:
    """Every doubt once, with the windows that it is about; none where nothing is doubted."""
    where: dict[str, list[str]] = {}
    for phase in material.plan.phases:
        if material.evidence.phase(phase.name) is None:
            where.setdefault("not measured", []).append(phase.name)
            continue
        for doubt in dict.fromkeys(doubts_of(material.evidence, phase.name)):
            where.setdefault(doubt, []).append(phase.name)
    rows = [(doubt, _windows(phases)) for doubt, phases in where.items()]
    return present(grid("Why something may not count", columns("doubt", "windows"), rows))


def _windows(phases: Sequence[str]) -> str:
    named = ", ".join(phases[:_NAMED])
    return f"{named} and {len(phases) - _NAMED} more" if len(phases) > _NAMED else named


def other_grids(material: Material) -> tuple[Grid, ...]:
    """What ran on pCPUs beside the guests: others, the lab's helpers, and hogs."""
    proofs = material.measurements.proofs
    pcpus = sorted({pcpu for proof in proofs for pcpu, _ in proof.foreign_pct})
    clocks = list(dict.fromkeys(what for proof in proofs for what, _ in proof.clocks))
    headings = columns("window", *(f"#pCPU {pcpu}" for pcpu in pcpus), "#lab's helpers", *clocks)
    rows = []
    for proof in proofs:
        seen, facts = dict(proof.foreign_pct), dict(proof.clocks)
        shares = (f"{seen[pcpu]:.2f}" if pcpu in seen else "-" for pcpu in pcpus)
        said = (facts.get(what, "-") for what in clocks)
        rows.append((proof.phase, *shares, f"{proof.helpers_pct:.2f}", *said))
    return present(
        grid("What others ran, % of each leased pCPU; the lab's helpers, % of one", headings, rows),
        grid(
            "Hogs",
            columns("hog", "window", "#pCPU", "#ran, % of it"),
            list(_hogs(material.measurements.hogs)),
        ),
    )


def _hogs(hogs: Sequence[HogWindow]) -> Iterator[tuple[str, ...]]:
    for one in hogs:
        yield one.hog, one.phase, str(one.pcpu), f"{one.run_pct:.1f}"
