# SPDX-License-Identifier: GPL-2.0-only
"""From the files of one machine's trace to its events, in columns.

    pages -> records (lab.trace.ringbuffer) -> times (lab.trace.clocks) -> fields (lab.trace.fields) -> tables

One CPU's file after the other, so that what is in memory at once is little more than the columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lab.trace.about import About, parse_about
from lab.trace.clocks import TraceClock, covered_ticks, possible_ticks
from lab.trace.cpuevents import CpuEvents, Reader
from lab.trace.damage import DamageLog
from lab.trace.formats import Formats, parse_formats, preempted_bit
from lab.trace.model import Marks, Migrations, Notes, Switches, Ticks, Times, Trace, Wakeups
from lab.trace.tables import merged, merged_moments, merged_texts

#: One clock for all CPUs, or one for each: KVM may move the counters of vCPUs apart.
Clocks = TraceClock | Mapping[int, TraceClock]


@dataclass(frozen=True)
class TraceFiles:
    """What a recorder left: `raw` is by CPU what was in its trace_pipe_raw. Files that are missing are empty."""

    about: bytes
    formats: bytes
    raw: Mapping[int, bytes]


def decode_trace(files: TraceFiles, node: str, phase: str, to_host_ns: Clocks | None) -> Trace:
    """Everything that can be read of a trace; never raises: what cannot be is in `damage`, with its place.

    `to_host_ns` is of `host_clock`, `guest_clock` or `matched_clock`; without a clock no event has a time that is
    worth anything, and the trace is empty but for its damage and its losses.
    """
    about, formats, log = parse_about(files.about), parse_formats(files.formats), DamageLog()
    clocks = _by_cpu(to_host_ns, files.raw)
    _note_clocks(clocks, files.raw, log)
    reader = Reader(formats, about.page_size, possible_ticks(about), log)
    reader.note_unreadable(about.events)
    cpus = {
        cpu: reader.read(cpu, files.raw[cpu], clocks.get(cpu), about.counts.get(cpu))
        for cpu in sorted(files.raw)
    }
    _note_files(about, files.raw, log)
    lost = {cpu: events.lost for cpu, events in cpus.items()} | _lost_files(about, files.raw)
    damage = (*about.damage, *formats.damage, *log.texts)
    return _trace(node, phase, list(cpus.values()), formats, lost, damage, _window(about, clocks), clocks)


def _trace(
    node: str,
    phase: str,
    cpus: list[CpuEvents],
    formats: Formats,
    lost: Mapping[int, int],
    damage: tuple[str, ...],
    window: tuple[int, int] | None,
    clocks: Mapping[int, TraceClock],
) -> Trace:
    moments_ns, moments_cpu = merged_moments(cpus)
    start_ns, end_ns = _with_events(window, moments_ns)
    switch = formats.by_name("sched:sched_switch")
    bit = (preempted_bit(switch) if switch else None) or 0
    return Trace(
        node=node,
        phase=phase,
        start_ns=start_ns,
        end_ns=end_ns,
        switches=Switches(**merged(cpus, Switches, preempted=bit)),
        wakeups=Wakeups(**merged(cpus, Wakeups)),
        migrations=Migrations(**merged(cpus, Migrations)),
        ticks=Ticks(**merged(cpus, Ticks)),
        marks=Marks(**merged_texts(cpus, Marks)),
        notes=Notes(**merged_texts(cpus, Notes)),
        moments_ns=moments_ns,
        moments_cpu=moments_cpu,
        names=_names(formats, cpus),
        lost={cpu: number for cpu, number in sorted(lost.items()) if number},
        error_ns=max((clock.error_ns for clock in clocks.values()), default=0),
        damage=damage,
    )


def _by_cpu(clocks: Clocks | None, raw: Mapping[int, bytes]) -> dict[int, TraceClock]:
    if clocks is None:
        return {}
    if isinstance(clocks, TraceClock):
        return dict.fromkeys(raw, clocks)
    return {cpu: clocks[cpu] for cpu in raw if cpu in clocks}


def _note_clocks(clocks: Mapping[int, TraceClock], raw: Mapping[int, bytes], log: DamageLog) -> None:
    for cpu in sorted(cpu for cpu in raw if cpu not in clocks):
        log.note(f"cpu{cpu}.raw", "nothing tells its clock against the host's: its events are left out")
    dropped = max((clock.dropped for clock in clocks.values()), default=0)
    if dropped:
        log.note("about", f"{dropped} clock pairs contradict the others and are left out")


def _note_files(about: About, raw: Mapping[int, bytes], log: DamageLog) -> None:
    for cpu in sorted({*about.cpus, *about.counts} - raw.keys()):
        log.note(f"cpu{cpu}.raw", "is not there")
    for cpu, counts in sorted(about.counts.items()):
        there = len(raw.get(cpu, b""))
        if cpu in raw and counts.bytes is not None and there != counts.bytes:
            log.note(f"cpu{cpu}.raw", f"has {there} bytes; {counts.bytes} were written")
        if counts.unwritten:
            log.note(
                f"cpu{cpu}.raw",
                f"{counts.unwritten} bytes were not written, so that it stays within its limit",
            )


def _lost_files(about: About, raw: Mapping[int, bytes]) -> dict[int, int]:
    return {cpu: counts.entries + counts.lost for cpu, counts in about.counts.items() if cpu not in raw}


def _window(about: About, clocks: Mapping[int, TraceClock]) -> tuple[int, int] | None:
    ticks = covered_ticks(about)
    if ticks is None or not clocks:
        return None
    return min(clock.at(ticks[0]) for clock in clocks.values()), max(
        clock.at(ticks[1]) for clock in clocks.values()
    )


def _with_events(window: tuple[int, int] | None, moments_ns: Times) -> tuple[int, int]:
    """From when to when the trace tells: as long as it ran, and in any case from its first event to its last."""
    events = (int(moments_ns[0]), int(moments_ns[-1])) if len(moments_ns) else None
    known = [one for one in (window, events) if one is not None]
    return min((one[0] for one in known), default=0), max((one[1] for one in known), default=0)


def _names(formats: Formats, cpus: list[CpuEvents]) -> dict[int, str]:
    """As last seen on any CPU; where no event says, as the kernel had saved them."""
    seen = sorted((t_ns, tid, name) for events in cpus for tid, (t_ns, name) in events.names.items())
    return {**formats.names, **{tid: name for _, tid, name in seen}}
