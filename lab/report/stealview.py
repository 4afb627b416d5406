# SPDX-License-Identifier: GPL-2.0-only
"""Steal over time as drawings, and window by window as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from statistics import fmean

from lab.judge.layout import MISSING
from lab.judge.table import vcpu_table
from lab.measure.course import VcpuCourse
from lab.measure.windows import PhaseWindow, VcpuWindow
from lab.report.grids import columns, grid, grid_of, present
from lab.report.journal import marks_of
from lab.report.material import Material, chart_limits_ns
from lab.report.page import Folded, Grid
from lab.report.stealchart import Band, Span, draw_steal
from lab.units import format_seconds

#: A table of more rows than this opens on demand.
_FEW_ROWS = 48
#: Strips in one drawing, drawings that stand open, and vCPUs that are drawn at all.
_STRIPS, _OPEN, MOST_VCPUS = 8, 8, 512


def steal_drawings(material: Material) -> tuple[Folded, ...]:
    """The drawings of each guest; from some number on they open on demand."""
    span = _span(material)
    drawn = material.courses[:MOST_VCPUS]
    folded: list[Folded] = []
    for node, found in groupby(drawn, key=lambda one: one.node):
        courses = list(found)
        parts = [courses[at : at + _STRIPS] for at in range(0, len(courses), _STRIPS)]
        drawings = [
            draw_steal(f"steal-{len(folded)}-{number}", _title(part), part, span, material.zero_ns)
            for number, part in enumerate(parts)
        ]
        folded.append(Folded(node, drawings=tuple(drawings), open=len(folded) < _OPEN))
    return tuple(folded)


def _title(courses: Sequence[VcpuCourse]) -> str:
    first, last = courses[0], courses[-1]
    which = f"vCPU {first.vcpu}" if first is last else f"vCPUs {first.vcpu} to {last.vcpu}"
    return f"Steal of {first.node} {which} over time"


def _span(material: Material) -> Span:
    low_ns, high_ns = chart_limits_ns(material.events)
    start_s, end_s = material.at_s(low_ns), material.at_s(high_ns)
    bands = tuple(
        Band(material.at_s(one.start_ns), material.at_s(one.end_ns), one.phase)
        for one in material.measurements.phases
    )
    marks = tuple(one for one in marks_of(material) if start_s <= one.at_s <= end_s)
    return Span(start_s, end_s, bands, marks)


def steal_tables(material: Material) -> tuple[Folded, ...]:
    """A table for each window; where they are many, one for all of them."""
    if material.many:
        found = _together(material)
        few = sum(len(one.rows) for one in found) <= _FEW_ROWS
        return (Folded("Windows together", found, open=few),) if found else ()
    names = [phase.name for phase in material.plan.phases]
    windows = {name: window for name in names if (window := material.evidence.phase(name)) is not None}
    missing = [name for name in names if name not in windows]
    told = (Folded(f"not measured: {', '.join(missing)}"),) if missing else ()
    return (*(_window(material, window) for window in windows.values()), *told)


def _window(material: Material, window: PhaseWindow) -> Folded:
    phase = window.phase
    length = format_seconds(window.end_ns - window.start_ns)
    found = grid_of(vcpu_table(material.evidence, phase), f"Steal in {phase}, % of time; per second", 2)
    big = sum(len(node.vcpus) for node in material.plan.nodes) > 32
    return Folded(f"{phase}, {length}", present(found), open=not big)


# ---- many windows


def _together(material: Material) -> tuple[Grid, ...]:
    """Means over the windows of one phase and arm, and over the vCPUs of each guest."""
    key_of = {
        one.name: (one.template or one.name, one.arm or "") for one in material.plan.phases if _counts(one)
    }
    groups: dict[tuple[str, str, str], list[VcpuWindow]] = {}
    for one in material.measurements.vcpus:
        if one.phase in key_of:
            groups.setdefault((*key_of[one.phase], one.node), []).append(one)
    rows = [(*key, *_cells(several)) for key, several in groups.items()]
    names = columns(
        "phase", "arm", "guest", "#windows", "#guest %", "#min", "#max", "#host %", "#widest diff"
    )
    if not any(arm for _, arm, _ in groups):
        names, rows = (names[0], *names[2:]), [(row[0], *row[2:]) for row in rows]
    heads = len(names) - 6
    return present(grid("Steal over windows and vCPUs, % of time", names, rows, heads))


def _counts(phase: object) -> bool:
    """Warm-up repeats of arms do not count."""
    return getattr(phase, "arm", None) is None or bool(getattr(phase, "repeat", 0))


def _cells(several: Sequence[VcpuWindow]) -> Iterator[str]:
    guest = [pct for one in several if (pct := one.guest_steal_pct) is not None]
    host = [pct for one in several if (pct := one.host_steal_pct) is not None]
    apart = [pct for one in several if (pct := one.disagreement_pct) is not None]
    yield str(len({one.phase for one in several}))
    yield from (f"{how(guest):.1f}" if guest else MISSING for how in (fmean, min, max))
    yield f"{fmean(host):.1f}" if host else MISSING
    yield f"{max(apart):.1f}" if apart else MISSING
