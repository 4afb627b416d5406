# SPDX-License-Identifier: GPL-2.0-only
"""What loads did: throughput, what they reported, what governed meanwhile, and what folding cost."""

from __future__ import annotations

from lab.judge.foldtable import FOLD_LEGEND, fold_table
from lab.judge.governtable import GOVERNED_LEGEND, governor_table
from lab.judge.loadtable import load_remarks, load_result_table
from lab.judge.table import work_changes, work_table
from lab.report.grids import grid_of, present
from lab.report.material import Material
from lab.report.page import Folded


def load_views(material: Material) -> tuple[Folded, ...]:
    """Each window's, then what there is over all of them; of many windows only the latter."""
    views = [] if material.many else [_window(material, phase.name) for phase in material.plan.phases]
    return tuple(one for one in (*views, _changes(material), _folds(material)) if one.grids or one.notes)


def _window(material: Material, phase: str) -> Folded:
    evidence = material.evidence
    governed = governor_table(evidence, phase)
    grids = present(
        grid_of(work_table(evidence, phase), f"Work in {phase}", 2),
        grid_of(load_result_table(evidence, phase), f"What loads reported in {phase}", 3),
        grid_of(governed, f"Governors in {phase}", 1, [GOVERNED_LEGEND]),
    )
    return Folded(phase, grids, notes=tuple(load_remarks(evidence, phase)) if grids else ())


def _changes(material: Material) -> Folded:
    phases = material.plan.phases
    if len(phases) != 2:
        return Folded("")
    before, after = (one.name for one in phases)
    return Folded(f"{before} → {after}", notes=tuple(work_changes(material.evidence, before, after)))


def _folds(material: Material) -> Folded:
    found = grid_of(fold_table(material.evidence), "Folds, side by side", 2, [FOLD_LEGEND])
    return Folded("Folding", present(found))
