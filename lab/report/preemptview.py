# SPDX-License-Identifier: GPL-2.0-only
"""Preemptions where they were traced: histograms, and a table of who took whose pCPU for how long."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from markupsafe import Markup

from lab.judge.preempttable import (
    DELAYS_TITLE,
    HOLDERS_TITLE,
    LEGEND,
    delays_table,
    holders_table,
    lengths_table,
    pattern_texts,
    trust_texts,
)
from lab.report.grids import columns, grid, grid_of, present
from lab.report.histogram import draw_histogram, power
from lab.report.material import Material
from lab.report.page import Folded, Grid
from lab.trace.distribution import Bucket, histogram
from lab.trace.summary import PhaseTrace, VcpuPreemptions

#: vCPUs whose histograms are drawn in one window, windows that stand open, and windows that are drawn at all.
_DRAWN, _OPEN, _WINDOWS = 32, 4, 24
_TAKERS = 4


def preemption_views(material: Material) -> tuple[Folded, ...]:
    """Every traced window, as far as they can be looked at."""
    traces = material.measurements.traces
    views = [_window(material, number, trace) for number, trace in enumerate(islice(traces, _WINDOWS))]
    if len(traces) > _WINDOWS:
        views.append(Folded(f"{len(traces) - _WINDOWS} more traced windows are not shown"))
    return tuple(views)


def _window(material: Material, number: int, trace: PhaseTrace) -> Folded:
    evidence, phase = material.evidence, trace.phase
    grids = present(
        grid_of(lengths_table(evidence, phase), f"Preemptions in {phase}, times in ms", 2),
        grid_of(delays_table(evidence, phase, takers=False), DELAYS_TITLE, 2, [LEGEND]),
        _takers(trace),
        grid_of(holders_table(evidence, trace), HOLDERS_TITLE),
    )
    notes = (*pattern_texts(trace), *trust_texts(evidence, trace))
    return Folded(phase, grids, tuple(_drawings(number, trace)), notes, open=number < _OPEN)


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
