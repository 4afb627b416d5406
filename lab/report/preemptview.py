# SPDX-License-Identifier: GPL-2.0-only
"""Preemptions where they were traced: histograms, and a table of who took whose pCPU for how long."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from markupsafe import Markup

from lab.judge.layout import MISSING, Column, Table, fit
from lab.plan.labplan import HOST_SCOPE
from lab.report.grids import columns, grid, grid_of, present
from lab.report.histogram import draw_histogram, power
from lab.report.material import Material
from lab.report.page import Folded, Grid
from lab.trace.distribution import Bucket, Estimate, distribution, histogram
from lab.trace.summary import Holders, PhaseTrace, VcpuPreemptions

#: vCPUs whose histograms are drawn in one window, windows that stand open, and windows that are drawn at all.
_DRAWN, _OPEN, _WINDOWS = 32, 4, 24
_TAKERS = 4

PREEMPTION_LEGEND = (
    "per s: times it was taken off its pCPU though it wanted to run; p50, p99, max: for how long; time: that, and "
    "waiting after a wake-up, % of the window; wake p99: from wake-up to running; by: who took most of its time"
)


def preemption_table(trace: PhaseTrace) -> Table:
    """A row for each vCPU of one traced window; fits a mail."""
    names = [
        Column("node", fit([one.node for one in trace.vcpus], 4, 12), text=True),
        Column("vCPU", 4),
        Column("per s", 7),
        Column("p50 ms", 7),
        Column("p99 ms", 7),
        Column("max ms", 7),
        Column("time", 5),
        Column("wake p99", 8),
        Column("by", 18, text=True),
    ]
    return Table(names, [_cells(one) for one in trace.vcpus])


def _cells(one: VcpuPreemptions) -> list[str | float | None]:
    lengths, waits = distribution(one.lengths_ns), distribution(one.latencies_ns)
    elapsed = one.elapsed_ns
    most = max(one.by, key=lambda by: by.total_ns, default=None)
    return [
        one.node,
        one.vcpu,
        lengths.count * 1e9 / elapsed if elapsed > 0 else None,
        _ms(lengths.p50),
        _ms(lengths.p99),
        _ms(lengths.max_ns),
        100 * one.delay_ns / elapsed if elapsed > 0 else None,
        _ms(waits.p99),
        most.taker if most else MISSING,
    ]


def _ms(time: Estimate | float | None) -> str:
    time_ns = time.value if isinstance(time, Estimate) else time
    if time_ns is None:
        return MISSING
    return f"{time_ns / 1e6:.{2 if time_ns >= 100_000 else 3}f}"


def preemption_views(material: Material) -> tuple[Folded, ...]:
    """Every traced window, as far as they can be looked at."""
    traces = material.measurements.traces
    views = [_window(number, trace) for number, trace in enumerate(islice(traces, _WINDOWS))]
    if len(traces) > _WINDOWS:
        views.append(Folded(f"{len(traces) - _WINDOWS} more traced windows are not shown"))
    return tuple(views)


def _window(number: int, trace: PhaseTrace) -> Folded:
    grids = present(
        grid_of(preemption_table(trace), f"Preemptions in {trace.phase}", 2, [PREEMPTION_LEGEND]),
        _takers(trace),
        _holders(trace),
        _physics(trace),
    )
    return Folded(
        trace.phase, grids, tuple(_drawings(number, trace)), tuple(trace_notes(trace)), open=number < _OPEN
    )


def trace_notes(trace: PhaseTrace) -> Iterator[str]:
    """Doubts about the traces of a window, and what of them was lost."""
    yield from trace.doubts
    for machine, events in (trace.lost or {}).items():
        if events:
            yield f"{events} events of {'the host' if machine == HOST_SCOPE else machine} were lost"


def _drawings(number: int, trace: PhaseTrace) -> Iterator[Markup]:
    kinds: tuple[tuple[str, str, Callable[[VcpuPreemptions], tuple[Bucket, ...]]], ...] = (
        ("preempted", "preempted", lambda one: histogram(one.lengths_ns)),
        ("wake-up to running", "waking", lambda one: histogram(one.latencies_ns)),
    )
    for what, class_, bins_of in kinds:
        shown = [(one, bins_of(one)) for one in trace.vcpus[:_DRAWN]]
        powers = _powers([bucket for _, buckets in shown for bucket in buckets])
        for one, buckets in shown:
            if buckets:
                ident = f"histogram-{number}-{class_}-{one.node}-{one.vcpu}"
                yield draw_histogram(ident, f"{one.node} vCPU {one.vcpu}, {what}", buckets, powers, class_)


def _powers(buckets: Sequence[Bucket]) -> tuple[int, int]:
    """One axis for all, at least a few powers long."""
    places = [power(one) for one in buckets] or [0]
    low, high = min(places), max(places) + 1
    return low, max(high, low + 6)


def _takers(trace: PhaseTrace) -> Grid | None:
    rows = [
        (one.node, str(one.vcpu), by.taker, str(by.count), f"{by.total_ns / 1e6:.1f}")
        for one in trace.vcpus
        for by in sorted(one.by, key=lambda by: -by.total_ns)[:_TAKERS]
    ]
    names = columns("node", "#vCPU", "who ran instead", "#times", "#ms")
    return grid("Who took its pCPU", names, rows, 2)


def _holders(trace: PhaseTrace) -> Grid | None:
    rows = [
        (one.node, str(one.vcpu), *_holder_cells(one.holders))
        for one in trace.vcpus
        if one.holders is not None
    ]
    names = columns(
        "node", "#vCPU", "#told", "#in a lock", "#not preemptible", "#interrupts off", "#on an avoided vCPU"
    )
    return grid("What preemptions hit in the guest", names, rows, 2)


def _holder_cells(one: Holders) -> Iterator[str]:
    yield str(one.told)
    for count in (one.in_lock, one.no_preempt, one.irqs_off, one.on_avoided):
        yield MISSING if count is None else str(count)


def _physics(trace: PhaseTrace) -> Grid | None:
    rows = [
        (
            one.node,
            str(one.checked),
            str(one.violations),
            f"{one.worst_ns / 1e3:.1f}",
            f"{one.error_ns / 1e3:.1f}",
        )
        for one in trace.physics
    ]
    names = columns("guest", "#events checked", "#where it did not run", "#worst, us", "#clock error, us")
    return grid("Guest events against the host's view", names, rows)
