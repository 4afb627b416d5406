# SPDX-License-Identifier: GPL-2.0-only
"""Steal over time: a strip for each vCPU of a guest, all on one axis of time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from lab.measure.course import VcpuCourse
from lab.report.scale import Scale, bottom_axis
from lab.report.svg import clipped, compact, drawing, fits, group, line, path, rect, text

_LEFT, _RIGHT, _WIDTH = 62.0, 10.0, 600.0
_TOP, _STRIP, _GAP, _BOTTOM = 34.0, 46.0, 10.0, 34.0
#: Bands and marks nearer than this are drawn as one.
_NEAREST = 3.0
#: So many marks have room for their numbers, and so many for lines through all strips.
_NUMBERED, _THROUGH = 24, 60


@dataclass(frozen=True)
class Band:
    """A measured window, in seconds of the drawing's axis."""

    start_s: float
    end_s: float
    name: str


@dataclass(frozen=True)
class Mark:
    """Something that happened: `kind` is knob, govern or change, `label` what it is found by in a table."""

    at_s: float
    kind: str
    label: str
    tip: str


@dataclass(frozen=True)
class Span:
    """What one drawing shows: from when to when, its windows and marks."""

    start_s: float
    end_s: float
    bands: tuple[Band, ...]
    marks: tuple[Mark, ...]


def draw_steal(ident: str, title: str, courses: Sequence[VcpuCourse], span: Span, zero_ns: int) -> Markup:
    """Strips of `courses` below each other; times are counted from `zero_ns` of the host's clock."""
    across = Scale(span.start_s, span.end_s, _LEFT, _WIDTH - _RIGHT)
    bottom = _TOP + len(courses) * (_STRIP + _GAP) - _GAP
    parts = [*_bands(span.bands, across, bottom)]
    for number, course in enumerate(courses):
        parts.append(_strip(course, across, _TOP + number * (_STRIP + _GAP), zero_ns))
    parts += _marks(span.marks, across, bottom)
    parts.append(bottom_axis(across, bottom + 2, 8))
    parts.append(text(_WIDTH - _RIGHT, bottom + 31, "s", "number", "end"))
    return drawing(ident, title, _about(courses, span), (_WIDTH, bottom + _BOTTOM), parts, "steal")


def _about(courses: Sequence[VcpuCourse], span: Span) -> str:
    names = ", ".join(band.name for band in span.bands[:12])
    more = f" and {len(span.bands) - 12} more" if len(span.bands) > 12 else ""
    means = "; ".join(_mean(course) for course in courses)
    length_s = span.end_s - span.start_s
    return f"Steal in per cent of time, 0 to 100, over {length_s:.0f} s. Windows: {names}{more}. {means}."


def _mean(course: VcpuCourse) -> str:
    sides = (("guest", course.guest_pct), ("host", course.host_pct))
    known = {name: [pct for pct in seen if pct is not None] for name, seen in sides}
    said = [f"{name} {sum(some) / len(some):.0f} %" for name, some in known.items() if some]
    return f"vCPU {course.vcpu} on the whole: {', '.join(said) or 'not seen'}"


# ---- windows


def _bands(bands: Sequence[Band], across: Scale, bottom: float) -> Iterator[Markup]:
    for number, (start, end, names) in enumerate(_merged(bands, across)):
        shade = "even" if number % 2 else "odd"
        name = names[0] if len(names) == 1 else f"{len(names)} windows"
        tip = names[0] if len(names) == 1 else f"{len(names)} windows, {names[0]} to {names[-1]}"
        yield rect(start, _TOP - 16, end - start, bottom - _TOP + 16, f"window {shade}", tip)
        shown = clipped(name, end - start - 4)
        if shown:
            yield text(start + 3, _TOP - 5, shown, "small")


def _merged(bands: Sequence[Band], across: Scale) -> Iterator[tuple[float, float, list[str]]]:
    """Windows as positions, those that are too short to be told apart together."""
    start, end, names = 0.0, 0.0, list[str]()
    for band in bands:
        low, high = across(band.start_s), across(band.end_s)
        if names and high - start >= _NEAREST and end - start >= _NEAREST:
            yield start, end, names
            names = []
        if not names:
            start = low
        end, names = max(high, low + 1), [*names, band.name]
    if names:
        yield start, end, names


# ---- one vCPU


def _strip(course: VcpuCourse, across: Scale, top: float, zero_ns: int) -> Markup:
    up = Scale(0, 100, top + _STRIP, top)
    middle = up(50)
    return group(
        line(across.start, up(100), across.end, up(100), "grid"),
        line(across.start, middle, across.end, middle, "grid"),
        line(across.start, up(0), across.end, up(0), "axis"),
        text(4, middle + 4, f"vCPU {course.vcpu}", "name"),
        text(_LEFT - 4, up(100) + 8, "100", "small", "end"),
        text(_LEFT - 4, up(0), "0 %", "small", "end"),
        path(_steps(course.host_pct, course.edges_ns, across, up, zero_ns), "host"),
        path(_steps(course.guest_pct, course.edges_ns, across, up, zero_ns), "guest"),
    )


def _steps(
    values: Sequence[float | None], edges_ns: Sequence[int], across: Scale, up: Scale, zero_ns: int
) -> str:
    """A line through the middles of the steps, broken where nothing was seen."""
    commands, drawn = [], False
    for value, low, high in zip(values, edges_ns[:-1], edges_ns[1:], strict=True):
        if value is None:
            drawn = False
            continue
        x = across(((low + high) / 2 - zero_ns) / 1e9)
        commands.append(f"{'L' if drawn else 'M'}{compact(x)} {compact(up(value))}")
        drawn = True
    # A path must begin somewhere, though nothing is drawn.
    return "".join(commands) or "M0 0"


# ---- what happened


def _marks(marks: Sequence[Mark], across: Scale, bottom: float) -> Iterator[Markup]:
    numbered, before, busy_to = len(marks) <= _NUMBERED, dict[str, float](), 0.0
    end = bottom if len(marks) <= _THROUGH else _TOP - 8
    for mark in marks:
        x = across(mark.at_s)
        if x - before.get(mark.kind, -_NEAREST) < _NEAREST:
            continue
        before[mark.kind] = x
        yield line(x, _TOP - 18, x, end, f"mark {mark.kind}", mark.tip)
        if numbered and x >= busy_to and fits(mark.label, _WIDTH):
            yield text(x, _TOP - 21, mark.label, f"small {mark.kind}", "middle")
            busy_to = x + 6.2 * len(mark.label) + 4
