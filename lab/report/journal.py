# SPDX-License-Identifier: GPL-2.0-only
"""What the lab changed and when: the journal of knobs, what governors decided, and whatever else happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from lab.measure.happened import EventLike
from lab.plan.labplan import HOST_SCOPE
from lab.report.grids import columns, grid, present
from lab.report.material import Material
from lab.report.page import Grid
from lab.report.stealchart import Mark
from lab.units import format_cpulist

_KNOBS = ("knob", "knob-restored", "knob-skipped")
#: An event in words, by its kind; those of windows and knobs stand elsewhere.
_WORDS: dict[str, Callable[[Any], str]] = {
    "load-start": lambda data: f"load {data.get('load')} starts on {data.get('node')}",
    "load-stop": lambda data: f"load {data.get('load')} stops on {data.get('node')}",
    "hog-start": lambda data: f"hog {data.get('hog')} starts on pCPU {_list(data.get('pcpus'))}",
    "hog-stop": lambda data: f"hog {data.get('hog')} stops",
    "contention": lambda data: f"{_what(data)}: {_value(data.get('old'))} → {_value(data.get('new'))}",
    "restart": lambda data: f"{data.get('node')} is started anew (start {data.get('boot')})",
    "ready": lambda data: f"{data.get('node')} is ready after {data.get('boot_s')} s",
    "retry": lambda data: f"{data.get('what')} again: {data.get('reason')} (attempt {data.get('attempt')})",
    "lost": lambda data: f"{data.get('what')} lost: {data.get('reason')}",
    "disturbance": lambda data: f"disturbance: {data.get('reason')}",
    "note": lambda data: str(data.get("text")),
}


def _list(pcpus: object) -> str:
    return format_cpulist(pcpus) if isinstance(pcpus, list) and pcpus else str(pcpus)


def _what(data: Any) -> str:
    known = [str(data[key]) for key in ("what", "node", "hog", "vcpu") if key in data]
    return " ".join(known)


def _value(value: object) -> str:
    return "(empty)" if value in ("", None) else str(value)


def _who(data: Any) -> str:
    node = str(data.get("node", ""))
    name = "the host" if node == HOST_SCOPE else node
    return f"{name} (for {data['guest']})" if data.get("guest") else name


def marks_of(material: Material) -> Iterator[Mark]:
    """What is drawn into charts: changed knobs and contention, and steps of governors, by the journal's numbers."""
    for number, event in _numbered(material, ("knob", "knob-restored")):
        change = f"{_value(event.data.get('old'))} → {_value(event.data.get('new'))}"
        tip = f"k{number}: {event.data.get('knob')} of {_who(event.data)}, {change}"
        yield Mark(material.at_s(event.t_ns), "knob", f"k{number}", tip)
    for number, event in _numbered(material, ("contention",)):
        yield Mark(material.at_s(event.t_ns), "change", f"c{number}", _WORDS["contention"](event.data))
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
        change, where = f"(not set to {_value(data.get('value'))})", f"skipped: {data.get('reason')}"
    else:
        change = f"{_value(data.get('old'))} → {_value(data.get('new'))}"
        where = str(data.get("path", ""))
    back = " (restored)" if event.kind == "knob-restored" else ""
    return f"k{number}", when, _who(data), f"{data.get('knob')}{back}", change, where


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
        if event.kind in _WORDS:
            changes += event.kind == "contention"
            label = f"c{changes}: " if event.kind == "contention" else ""
            yield _time(material, event.t_ns), f"{label}{_WORDS[event.kind](event.data)}"
