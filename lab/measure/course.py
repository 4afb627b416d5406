# SPDX-License-Identifier: GPL-2.0-only
"""Steal over time: each vCPU's, on both sides, over the whole of a recording.

What is judged is taken over whole windows (lab.measure.derive); this is what a picture shows between.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from lab.measure.boots import GuestBoot
from lab.measure.governed import NodeView
from lab.measure.hostside import VcpuThread, covering
from lab.measure.series import Series, series_of

#: The clock of a guest is matched at so many moments of a recording, and taken to drift evenly between them.
_ANCHORS = 8
#: Where among the counters of a vCPU's thread its run delay stands (lab.measure.hostside).
_DELAY = 1


@dataclass(frozen=True)
class VcpuCourse:
    """Steal of one vCPU in per cent of elapsed time, step by step.

    Step i goes from `edges_ns[i]` to `edges_ns[i + 1]` of the host's clock; `guest_pct[i]` and `host_pct[i]` are
    None where that side was not seen over all of it.
    """

    node: str
    vcpu: int
    edges_ns: tuple[int, ...]
    guest_pct: tuple[float | None, ...]
    host_pct: tuple[float | None, ...]


def measure_courses(views: Iterable[NodeView], edges_ns: Sequence[int]) -> tuple[VcpuCourse, ...]:
    """The courses of all vCPUs that were seen, by node and vCPU; empty for less than two edges."""
    edges = tuple(edges_ns)
    return tuple(course for view in views for course in _courses(view, edges)) if len(edges) > 1 else ()


def step_edges(start_ns: int, end_ns: int, steps: int, least_ns: int) -> tuple[int, ...]:
    """Edges of at most `steps` equal steps, none shorter than `least_ns` unless the whole is."""
    length_ns = end_ns - start_ns
    if length_ns <= 0:
        return ()
    count = max(1, min(steps, length_ns // max(1, least_ns)))
    return tuple(start_ns + length_ns * number // count for number in range(count + 1))


def _courses(view: NodeView, edges: tuple[int, ...]) -> Iterator[VcpuCourse]:
    guest = _guest_series(view)
    for vcpu in sorted({*guest, *view.threads}):
        seen = [_percent(guest.get(vcpu, ()), low, high, 0) for low, high in pairwise(edges)]
        host = _host_percents(view.threads.get(vcpu), edges)
        yield VcpuCourse(view.name, vcpu, edges, tuple(seen), host)


def _host_percents(thread: VcpuThread | None, edges: tuple[int, ...]) -> tuple[float | None, ...]:
    several = () if thread is None else (*thread.earlier, thread.series)
    return tuple(_percent(several, low, high, _DELAY) for low, high in pairwise(edges))


def _percent(several: Iterable[Series], start_ns: int, end_ns: int, counter: int) -> float | None:
    series = covering(several, start_ns, end_ns)
    if series is None:
        return None
    grown = series.at(end_ns)[counter] - series.at(start_ns)[counter]
    return 100 * grown / (end_ns - start_ns)


# ---- the guest's side, on the host's clock


def _guest_series(view: NodeView) -> Mapping[int, tuple[Series, ...]]:
    """Cumulative steal in ns by vCPU, a series for each start of the guest."""
    found: dict[int, list[Series]] = {}
    for boot in view.boots:
        for vcpu, series in _of_boot(view, boot).items():
            found.setdefault(vcpu, []).append(series)
    return {vcpu: tuple(several) for vcpu, several in found.items()}


def _of_boot(view: NodeView, boot: GuestBoot) -> Mapping[int, Series]:
    hello, samples = boot.guest.hello, boot.guest.samples
    offsets = _offsets(view, boot)
    if hello is None or offsets is None:
        return {}
    readings: dict[int, list[tuple[int, tuple[int, ...]]]] = {}
    for sample in samples:
        t_ns = sample.t_ns + round(offsets.at(sample.t_ns)[0])
        for times in sample.cpus:
            readings.setdefault(times.cpu, []).append((t_ns, (times.steal * 1_000_000_000 // hello.user_hz,)))
    return {vcpu: series_of(several) for vcpu, several in readings.items()}


def _offsets(view: NodeView, boot: GuestBoot) -> Series | None:
    """Host clock less guest clock by the guest's time, over all of its samples; None where it is not known."""
    whole = view.clock_of(boot)
    if whole is None or len(boot.guest.samples) < 2:
        return None
    first_ns, last_ns = boot.guest.samples[0].t_ns, boot.guest.samples[-1].t_ns
    moments = (first_ns + (last_ns - first_ns) * number // _ANCHORS for number in range(_ANCHORS + 1))
    near = ((t_ns, view.clock_near(t_ns + whole.offset_ns) or whole) for t_ns in moments)
    return series_of([(t_ns, (clock.offset_ns,)) for t_ns, clock in near])
