# SPDX-License-Identifier: GPL-2.0-only
"""What the lab did and noticed: phases and runs of loads as slices, everything else as instants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.export.branches import Branches
from lab.export.packets import Track
from lab.export.tracewriter import TraceWriter
from lab.measure.happened import EventLike
from lab.measure.windows import Measurements
from lab.plan.labplan import HOST_SCOPE
from lab.units import format_cpulist

#: Kinds of events that are measurements, or are told in another way.
_LEFT_OUT = frozenset(("phase", "hog-work", "govern"))
_KNOB_KINDS = frozenset(("knob", "knob-skipped", "knob-restored"))
_LOAD_KINDS = frozenset(("load-start", "load-stop"))
_CONTENTION_KINDS = frozenset(("contention", "hog-start", "hog-stop"))


def write_happenings(
    writer: TraceWriter, branches: Branches, events: Sequence[EventLike], measurements: Measurements
) -> None:
    """All events in their tracks, and what was measured of some of them."""
    _write_phases(writer, branches, _phases(events), measurements)
    offsets = {clock.node: clock.offset_ns for clock in measurements.clocks}
    for event in sorted(events, key=lambda one: one.t_ns):
        if event.kind not in _LEFT_OUT:
            writer.moment(
                _track(branches, event), _moment_ns(event, offsets), _title(event), _about(event.data)
            )
    _write_measured(writer, branches, measurements)


# ---- phases


@dataclass(frozen=True)
class _Span:
    start_ns: int
    end_ns: int
    name: str


def _phases(events: Sequence[EventLike]) -> list[_Span]:
    """Each measured window, and before it the time in which its changes settled."""
    return [span for event in events if event.kind == "phase" for span in _phase_spans(event)]


def _phase_spans(event: EventLike) -> Iterator[_Span]:
    start_ns, end_ns, name = event.data["start_ns"], event.data["end_ns"], event.data["phase"]
    begin_ns = event.data.get("begin_ns", start_ns)
    if begin_ns < start_ns:
        yield _Span(begin_ns, start_ns, f"before {name}")
    yield _Span(start_ns, end_ns, name)


def _write_phases(
    writer: TraceWriter, branches: Branches, spans: Sequence[_Span], measurements: Measurements
) -> None:
    windows = {(one.phase, one.start_ns): one for one in measurements.phases}
    for span in spans:
        window = windows.get((span.name, span.start_ns))
        texts = () if window is None else (*window.doubts, *window.work_doubts, *window.skipped)
        about = {f"doubt {number}": text for number, text in enumerate(texts, 1)}
        writer.span(branches.lab("phases"), span.start_ns, span.end_ns, span.name, about)


# ---- events


def _track(branches: Branches, event: EventLike) -> Track:
    node = event.data.get("node")
    if event.kind in _KNOB_KINDS:
        return branches.lab("host knobs") if node in (None, HOST_SCOPE) else branches.node(node, "knobs")
    if event.kind in _LOAD_KINDS and node:
        return branches.node(node, "loads")
    return branches.lab("contention" if event.kind in _CONTENTION_KINDS else "events")


def _moment_ns(event: EventLike, offsets: Mapping[str, int]) -> int:
    """What was done within a guest was done when its clock says; the host only knows between which times."""
    data = event.data
    offset_ns = offsets.get(str(data.get("node")))
    if offset_ns is None or not all(data.get(key) for key in ("host_t0_ns", "guest_t1_ns", "host_t1_ns")):
        return event.t_ns
    return int(min(max(data["guest_t1_ns"] + offset_ns, data["host_t0_ns"]), data["host_t1_ns"]))


def _title(event: EventLike) -> str:
    data = event.data
    match event.kind:
        case "knob" | "knob-restored":
            back = " (restored)" if event.kind == "knob-restored" else ""
            whose = f" of {data['guest']}" if data.get("guest") else ""
            return f"{data.get('knob')}{whose}: {_change(data)}{back}"
        case "knob-skipped":
            return f"{data.get('knob')}: skipped"
        case "load-start" | "load-stop":
            return f"{event.kind.removeprefix('load-')} {data.get('load')}"
        case "hog-start" | "hog-stop":
            return f"{event.kind.removeprefix('hog-')} hog {data.get('hog')}"
        case "contention":
            whose = data.get("node") or data.get("hog") or ""
            return f"{data.get('what')} {whose}: {_change(data)}"
        case _:
            told = next((data[key] for key in ("reason", "text", "node", "phase") if data.get(key)), "")
            return f"{event.kind} {told}".strip()


def _change(data: Mapping[str, Any]) -> str:
    old, new = ("(none)" if data.get(key) in (None, "") else data[key] for key in ("old", "new"))
    return f"{old} -> {new}"


def _about(data: Mapping[str, Any]) -> dict[str, str]:
    return {key: str(value) for key, value in data.items() if value is not None}


# ---- what was measured of them


def _write_measured(writer: TraceWriter, branches: Branches, measurements: Measurements) -> None:
    for one in measurements.decisions:
        name = f"{one.action} ({one.source}): {format_cpulist(one.after) or 'none'} folded"
        writer.moment(branches.node(one.node, "governor"), one.t_ns, name, _about(one.__dict__))
    for fold in measurements.foldings:
        if fold.effect_ns is not None:
            name = f"fold {format_cpulist(fold.vcpus)} until quiet"
            end_ns = fold.begin_ns + fold.effect_ns
            track = branches.folds(fold.node, fold.mechanism)
            writer.span(track, fold.begin_ns, end_ns, name, _about(fold.__dict__))
    for change in measurements.file_changes:
        name = f"{change.name}: {_change(change.__dict__)}"
        track = branches.node(change.node, "watched files")
        writer.moment(track, change.by_ns, name, _about(change.__dict__))
    for run in measurements.load_results:
        values = {name: f"{value:g}" for name, value in run.values}
        status = "unknown" if run.status is None else str(run.status)
        track = branches.load_runs(run.node, run.load)
        writer.span(track, run.begin_ns, run.end_ns, run.load, {"status": status, **values})
