# SPDX-License-Identifier: GPL-2.0-only
"""From the traces of a recording to what each phase's say together, on the host's clock.

A guest's trace is brought there by its TSC, whose offset KVM tells, where both traces are by that clock; elsewhere
by what the probes' samples tell of the two clocks (lab.measure.clock), which is known less well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

from lab.measure.happened import ClockNear, PhaseLike
from lab.measure.tracefiles import TracedPhase, TscOffset, parse_offsets, parse_threads
from lab.plan.labplan import HOST_SCOPE, LabPlan, trace_of
from lab.trace.about import About, parse_about
from lab.trace.clocks import TraceClock, guest_clock, host_clock, matched_clock
from lab.trace.decode import Clocks, TraceFiles, decode_trace
from lab.trace.model import Trace, TracedWindow
from lab.trace.summarise import build_window
from lab.units import format_seconds

TSC = "x86-tsc"
#: Of a phase's window, how much its trace has to span to speak for it.
COVERAGE_PCT = 99.0


class TracesLike(Protocol):
    """What this module reads of a recording, as `lab.recording.Recording` has it."""

    def traces(self, phase: str) -> TracedPhase | None: ...


def measure_traces(
    recording: TracesLike, plan: LabPlan, phases: Iterable[PhaseLike], clocks: ClockNear
) -> Iterator[TracedWindow]:
    """What was traced of `phases`, in their order; those that were not to be traced are left out.

    One window at a time: each may be large. `clocks` is asked for the clock of a guest whose TSC tells nothing.
    What cannot be read, and a trace that is not there, is in the doubts of a window. Raises RecordingError where a
    file cannot be opened.
    """
    for phase in phases:
        if trace_of(plan, phase.name) is not None:
            yield _window(recording.traces(phase.name), phase, clocks)


def _window(files: TracedPhase | None, phase: PhaseLike, clocks: ClockNear) -> TracedWindow:
    if files is None:
        nothing = TraceFiles(b"", b"", {})
        files = TracedPhase(nothing, {}, b"", b"")
    host_about = parse_about(files.host.about)
    host = decode_trace(files.host, HOST_SCOPE, phase.name, host_clock(host_about))
    doubts = _coverage_doubts(host, phase)
    host, offsets = _within(host, phase), parse_offsets(files.offsets)
    guests = {
        node: _within(_guest_trace(node, of_guest, host_about, offsets, phase, clocks), phase)
        for node, of_guest in files.guests.items()
    }
    window = build_window(host, guests, parse_threads(files.threads))
    return replace(window, doubts=(*doubts, *window.doubts))


def _within(trace: Trace, phase: PhaseLike) -> Trace:
    """The same with the measured window as its own: what lies outside still tells how things were at its ends."""
    return replace(trace, start_ns=phase.start_ns, end_ns=phase.end_ns)


def _coverage_doubts(host: Trace, phase: PhaseLike) -> tuple[str, ...]:
    length_ns = phase.end_ns - phase.start_ns
    spanned_ns = min(host.end_ns, phase.end_ns) - max(host.start_ns, phase.start_ns)
    if 100 * spanned_ns >= COVERAGE_PCT * length_ns:
        return ()
    return (
        f"the host's trace spans {format_seconds(max(0, spanned_ns))} of the window's {format_seconds(length_ns)}",
    )


def _guest_trace(
    node: str,
    files: TraceFiles,
    host_about: About,
    offsets: Sequence[TscOffset],
    phase: PhaseLike,
    clocks: ClockNear,
) -> Trace:
    about = parse_about(files.about)
    clock = _by_tsc(node, about, host_about, offsets) or _by_samples(node, about, phase, clocks)
    return decode_trace(files, node, phase.name, clock)


def _by_tsc(
    node: str, about: About, host_about: About, offsets: Sequence[TscOffset]
) -> dict[int, TraceClock] | None:
    """A clock for each vCPU; None unless KVM told the offsets of all."""
    if about.clock != TSC:
        return None
    found = {
        one.vcpu: clock
        for one in offsets
        if one.node == node and (clock := guest_clock(host_about, one.offset, one.ratio or 1))
    }
    return found if found and found.keys() >= set(about.cpus) else None


def _by_samples(node: str, about: About, phase: PhaseLike, clocks: ClockNear) -> Clocks | None:
    match = clocks(node, (phase.start_ns + phase.end_ns) // 2)
    return None if match is None else matched_clock(about, match.offset_ns, match.error_ns)
