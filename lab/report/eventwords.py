# SPDX-License-Identifier: GPL-2.0-only
"""Events of a run (lab.recording.Event) in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lab.measure.happened import EventLike
from lab.plan.labplan import HOST_SCOPE
from lab.units import format_cpulist

#: An event in words, by its kind; those of windows, knobs and governors are told elsewhere, or below.
WORDS: dict[str, Callable[[Any], str]] = {
    "load-start": lambda data: f"load {data.get('load')} starts on {data.get('node')}",
    "load-stop": lambda data: f"load {data.get('load')} stops on {data.get('node')}",
    "hog-start": lambda data: f"hog {data.get('hog')} starts on pCPU {_list(data.get('pcpus'))}",
    "hog-stop": lambda data: f"hog {data.get('hog')} stops",
    "contention": lambda data: (
        f"{_what(data)}: {value_or_empty(data.get('old'))} → {value_or_empty(data.get('new'))}"
    ),
    "restart": lambda data: f"{data.get('node')} is started anew (start {data.get('boot')})",
    "ready": lambda data: f"{data.get('node')} is ready after {data.get('boot_s')} s",
    "retry": lambda data: f"{data.get('what')} again: {data.get('reason')} (attempt {data.get('attempt')})",
    "lost": lambda data: f"{data.get('what')} lost: {data.get('reason')}",
    "disturbance": lambda data: f"disturbance: {data.get('reason')}",
    "note": lambda data: str(data.get("text")),
}


def event_in_words(event: EventLike) -> str | None:
    """An event as one line, knobs and steps of governors too; None for what is no news by itself."""
    data = event.data
    if event.kind in WORDS:
        return WORDS[event.kind](data)
    if event.kind in ("knob", "knob-restored"):
        back = " (restored)" if event.kind == "knob-restored" else ""
        return f"{knob_owner(data)} {data.get('knob')}{back}: {_change(data, 'old', 'new')}"
    if event.kind == "knob-skipped":
        wanted = value_or_empty(data.get("value"))
        return f"{knob_owner(data)} {data.get('knob')} not set to {wanted}: {data.get('reason')}"
    if event.kind == "govern" and data.get("before") != data.get("after"):
        return f"governor of {data.get('node')}: folded {_change(data, 'before', 'after')}"
    return None


def value_or_empty(value: object) -> str:
    """A knob's value for people."""
    return "(empty)" if value in ("", None) else str(value)


def knob_owner(data: Any) -> str:
    """Whose knob an event is about."""
    node = str(data.get("node", ""))
    name = "the host" if node == HOST_SCOPE else node
    return f"{name} (for {data['guest']})" if data.get("guest") else name


def _change(data: Any, old: str, new: str) -> str:
    return f"{value_or_empty(data.get(old))} → {value_or_empty(data.get(new))}"


def _list(pcpus: object) -> str:
    return format_cpulist(pcpus) if isinstance(pcpus, list) and pcpus else str(pcpus)


def _what(data: Any) -> str:
    known = [str(data[key]) for key in ("what", "node", "hog", "vcpu") if key in data]
    return " ".join(known)
