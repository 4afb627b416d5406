# SPDX-License-Identifier: GPL-2.0-only
"""`about`: what a recorder of traces says of its own work, in lines "KEY VALUE...".

    version 1
    clock x86-tsc
    kernel 6.12.0
    page_size 4096
    cpus 0-3
    event sched:sched_switch present
    pair TSC MONO_NS ERROR_NS
    cpu N entries E overrun O dropped D commit_overrun C bytes B unwritten U
    cost_ns T

The cost is written last: where it is missing, recording was cut short.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from lab.trace.damage import DamageLog
from lab.units import parse_cpulist

VERSION = "1"
PAGE_SIZE = 4096
FILE = "about"
#: No number in this file has more bits.
TOO_LARGE = 1 << 64


@dataclass(frozen=True)
class ClockPair:
    """One moment on two clocks, give or take `error_ns`: the trace's own, in its ticks, and CLOCK_MONOTONIC."""

    raw: int
    mono_ns: int
    error_ns: int


@dataclass(frozen=True)
class CpuCounts:
    """What the kernel counted of one CPU's buffer over the whole recording.

    `entries` events were read, `overrun` overwritten before that, `dropped` and `commit_overrun` never stored
    (Documentation/trace/ftrace.rst, per_cpu/cpuN/stats); `bytes` of pages were written, `unwritten` were not.
    """

    entries: int = 0
    overrun: int = 0
    dropped: int = 0
    commit_overrun: int = 0
    bytes: int | None = None
    unwritten: int = 0

    @property
    def lost(self) -> int:
        """How many events are missing."""
        return self.overrun + self.dropped + self.commit_overrun


@dataclass(frozen=True)
class About:
    """All of it. `events` is by "system:name" whether this kernel has it; `damage` what could not be read."""

    clock: str = "unknown"
    kernel: str = ""
    page_size: int = PAGE_SIZE
    cpus: tuple[int, ...] = ()
    events: Mapping[str, bool] = field(default_factory=dict)
    pairs: tuple[ClockPair, ...] = ()
    counts: Mapping[int, CpuCounts] = field(default_factory=dict)
    cost_ns: int | None = None
    damage: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether recording ended as it should: its last line is there."""
        return self.cost_ns is not None


def parse_about(data: bytes) -> About:
    """What `data` says; never raises: what cannot be read is in `damage`. Unknown keys are left out."""
    log = DamageLog()
    about = About()
    lines = data.decode("ascii", errors="replace").split("\n")
    if lines[-1]:
        log.note(FILE, f"line {len(lines)} is cut")
    for number, line in enumerate(lines[:-1], 1):
        try:
            about = _taken(about, line.split())
        except ValueError:
            log.note(FILE, f"line {number} cannot be read and is left out: {line[:80]!r}")
    if not about.complete:
        log.note(FILE, "its end is not there: recording did not end as it should")
    for cpu in sorted(set(about.cpus) - about.counts.keys()):
        log.note(FILE, f"no counts of CPU {cpu}: how many of its events are lost is not known")
    return replace(about, damage=log.texts)


def _taken(about: About, words: list[str]) -> About:
    if not words:
        return about
    reader = _READERS.get(words[0])
    return reader(about, words[1:]) if reader else about


def _version(about: About, values: list[str]) -> About:
    if values != [VERSION]:
        raise ValueError(values)
    return about


def _clock(about: About, values: list[str]) -> About:
    (clock,) = values
    return replace(about, clock=clock)


def _page_size(about: About, values: list[str]) -> About:
    (size,) = (_number(value) for value in values)
    if not 64 <= size <= 1 << 20 or size & (size - 1):
        raise ValueError(values)
    return replace(about, page_size=size)


def _event(about: About, values: list[str]) -> About:
    name, there = values
    if there not in ("present", "absent"):
        raise ValueError(there)
    return replace(about, events={**about.events, name: there == "present"})


def _pair(about: About, values: list[str]) -> About:
    raw, mono_ns, error_ns = (_number(value) for value in values)
    return replace(about, pairs=(*about.pairs, ClockPair(raw, mono_ns, error_ns)))


def _cpu(about: About, values: list[str]) -> About:
    cpu, *rest = values
    if len(rest) % 2:
        raise ValueError(values)
    known = CpuCounts.__dataclass_fields__
    counts = {key: _number(value) for key, value in zip(rest[::2], rest[1::2], strict=True) if key in known}
    return replace(about, counts={**about.counts, _number(cpu): CpuCounts(**counts)})


def _number(text: str) -> int:
    number = int(text)
    if not 0 <= number < TOO_LARGE:
        raise ValueError(text)
    return number


_READERS: Mapping[str, Callable[[About, list[str]], About]] = {
    "version": _version,
    "clock": _clock,
    "kernel": lambda about, values: replace(about, kernel=" ".join(values)),
    "page_size": _page_size,
    "cpus": lambda about, values: replace(about, cpus=parse_cpulist(" ".join(values))),
    "event": _event,
    "pair": _pair,
    "cpu": _cpu,
    "cost_ns": lambda about, values: replace(about, cost_ns=_number(" ".join(values))),
}
