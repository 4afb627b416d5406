# SPDX-License-Identifier: GPL-2.0-only
"""A recording as a Perfetto trace (https://perfetto.dev/docs/reference/trace-packet-proto)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lab.export.branches import Branches
from lab.export.counters import write_course, write_foreign
from lab.export.happenings import write_happenings
from lab.export.traced import write_traced
from lab.export.tracewriter import Sink, TraceWriter
from lab.measure.course import VcpuCourse
from lab.measure.happened import EventLike
from lab.measure.windows import Measurements
from lab.trace.model import TracedWindow


@dataclass(frozen=True)
class Exported:
    """What of a recording goes into a trace. `windows` are those that were traced, taken one at a time."""

    lab: str
    events: Sequence[EventLike]
    measurements: Measurements
    courses: Sequence[VcpuCourse] = ()
    windows: Iterable[TracedWindow] = ()


def write_perfetto(exported: Exported, sink: Sink) -> int:
    """Write it to `sink`; how many events were written. Memory: what the largest track of a window takes, twice.

    What stands where is told by lab.export.branches. Times are the host's CLOCK_MONOTONIC in nanoseconds, as
    everywhere in a recording.
    """
    writer = TraceWriter(sink, min((event.t_ns for event in exported.events if event.t_ns), default=1))
    branches = Branches(writer, exported.lab)
    write_happenings(writer, branches, exported.events, exported.measurements)
    write_foreign(writer, branches, exported.measurements)
    for course in exported.courses:
        write_course(writer, branches, course)
    for window in exported.windows:
        write_traced(writer, branches, window)
    return writer.events
