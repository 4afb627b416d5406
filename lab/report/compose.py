# SPDX-License-Identifier: GPL-2.0-only
"""From what a report is made of to what stands on the page."""

from __future__ import annotations

from collections.abc import Iterator

from lab.judge.table import STEAL_LEGEND, render_summary
from lab.plan.changes import render_hog
from lab.report.armview import arm_grids, arm_texts
from lab.report.console import excerpt
from lab.report.doubtview import doubt_grids, other_grids
from lab.report.findingview import finding_grids
from lab.report.journal import journal_grids
from lab.report.loadview import load_views
from lab.report.material import Material
from lab.report.page import Page
from lab.report.placement import draw_placement
from lab.report.preemptview import preemption_views
from lab.report.runview import clock_grids, environment_facts, measuring_facts, question_of, summary_facts
from lab.report.stealview import MOST_VCPUS, steal_drawings, steal_tables
from lab.report.verdictview import expected_of


def compose_page(material: Material) -> Page:
    """Everything, in the page's order."""
    arms_head, arms_notes = arm_texts(material)
    return Page(
        name=material.plan.name,
        outcome=material.judgement.outcome.value,
        headline=render_summary(material.judgement).partition(": ")[2],
        expected=expected_of(material.judgement),
        question=question_of(material.topology_text),
        summary=tuple(summary_facts(material)),
        retries=material.measurements.retries,
        placement=draw_placement(material.plan),
        placement_notes=tuple(placement_notes(material)),
        steal=steal_drawings(material),
        steal_tables=steal_tables(material),
        steal_notes=tuple(_steal_notes(material)),
        traced=bool(material.measurements.traces),
        preemptions=preemption_views(material),
        loads=load_views(material),
        arms=arm_grids(material),
        arms_head=arms_head,
        arms_notes=arms_notes,
        journal=journal_grids(material),
        doubts=doubt_grids(material),
        others=other_grids(material),
        consoles=tuple(excerpt(one) for one in material.consoles),
        environment=tuple(environment_facts(material)),
        topology_text=material.topology_text,
        measuring=tuple(measuring_facts(material)),
        clocks=clock_grids(material),
        findings=finding_grids(material),
    )


def placement_notes(material: Material) -> Iterator[str]:
    """What the drawing cannot show."""
    plan = material.plan
    yield from map(render_hog, plan.hogs)
    moved = [
        phase.name
        for phase in plan.phases
        if any(one.kind == "pin" for one in (*phase.contention, *phase.changes))
    ]
    if moved:
        yield f"pins change in {', '.join(moved[:6])}{'' if len(moved) <= 6 else f' and {len(moved) - 6} more'}"
    if not plan.host.numa_nodes and not plan.host.cores:
        yield "which pCPUs share a core or a NUMA node is not known"


def _steal_notes(material: Material) -> Iterator[str]:
    yield STEAL_LEGEND
    left = len(material.courses) - MOST_VCPUS
    if left > 0:
        yield f"{left} more vCPUs are not drawn"
