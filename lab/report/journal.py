# SPDX-License-Identifier: GPL-2.0-only
"""What the lab changed and when: the journal of knobs, what governors decided, and whatever else happened."""

from __future__ import annotations

from collections.abc import Iterator

from lab.measure.happened import EventLike
from lab.report.eventwords import WORDS, knob_owner, value_or_empty
from lab.report.grids import columns, grid, present
from lab.report.material import Material
from lab.report.page import Grid
from lab.report.stealchart import Mark
from lab.units import format_cpulist

_KNOBS = ("knob", "knob-restored", "knob-skipped")


def marks_of(material: Material) -> Iterator[Mark]:
    """What is drawn into charts: changed knobs and contention, and steps of governors, by the journal's numbers."""
    for number, event in _numbered(material, ("knob", "knob-restored")):
        change = f"{value_or_empty(event.data.get('old'))} → {value_or_empty(event.data.get('new'))}"
        tip = f"k{number}: {event.data.get('knob')} of {knob_owner(event.data)}, {change}"
        yield Mark(material.at_s(event.t_ns), "knob", f"k{number}", tip)
    for number, event in _numbered(material, ("contention",)):
        yield Mark(material.at_s(event.t_ns), "change", f"c{number}", WORDS["contention"](event.data))
    for number, one in enumerate(material.measurements.decisions, 1):
        if one.before != one.after:
            tip = f"g{number}: {one.source} governor of {one.node} folds {format_cpulist(one.after) or 'nothing'}"
            yield Mark(material.at_s(one.t_ns), "govern", f"g{number}", tip)


def _numbered(material: Material, kinds: tuple[str, ...]) -> Iterator[tuple[int, EventLike]]:
    """The numbers of knobs count all of their events, those that were skipped included."""
    counted = _KNOBS if "knob" in kinds else kinds
    found = enumerate((one for one in material.events if one.kind in counted), 1)
    return ((number, one) for number, one in found if one.kind in kinds)


def journal_grids(material: Material) -> tuple[Grid, ...]:
    """Knobs, decisions of governors, and what else happened."""
    return present(
        grid(
            "Knobs, times in seconds",
            columns("no.", "#time", "node", "knob", "old → new", "where"),
            [_knob_row(material, number, one) for number, one in _numbered(material, _KNOBS)],
        ),
        grid(
            "Decisions of governors that changed something",
            columns("no.", "#time", "node", "source", "action", "folded", "#seen %", "#guest %", "#host %"),
            list(_decision_rows(material)),
        ),
        grid("What else happened", columns("#time", "what"), list(_other_rows(material))),
    )


def _time(material: Material, t_ns: int) -> str:
    """Of a time that was not known there is none: texts of retries are carried over without."""
    return f"{round(material.at_s(t_ns), 2) + 0.0:.2f}" if t_ns else ""


def _knob_row(material: Material, number: int, event: EventLike) -> tuple[str, ...]:
    data, when = event.data, _time(material, event.t_ns)
    if event.kind == "knob-skipped":
        change, where = f"(not set to {value_or_empty(data.get('value'))})", f"skipped: {data.get('reason')}"
    else:
        change = f"{value_or_empty(data.get('old'))} → {value_or_empty(data.get('new'))}"
        where = str(data.get("path", ""))
    back = " (restored)" if event.kind == "knob-restored" else ""
    return f"k{number}", when, knob_owner(data), f"{data.get('knob')}{back}", change, where


def _decision_rows(material: Material) -> Iterator[tuple[str, ...]]:
    for number, one in enumerate(material.measurements.decisions, 1):
        if one.before != one.after:
            change = f"{format_cpulist(one.before) or 'none'} → {format_cpulist(one.after) or 'none'}"
            seen = (
                "-" if value is None else f"{value:.1f}"
                for value in (one.seen_pct, one.guest_pct, one.host_pct)
            )
            when = _time(material, one.t_ns)
            yield f"g{number}", when, one.node, one.source, one.action, change, *seen


def _other_rows(material: Material) -> Iterator[tuple[str, ...]]:
    changes = 0
    for event in material.events:
        if event.kind in WORDS:
            changes += event.kind == "contention"
            label = f"c{changes}: " if event.kind == "contention" else ""
            yield _time(material, event.t_ns), f"{label}{WORDS[event.kind](event.data)}"
