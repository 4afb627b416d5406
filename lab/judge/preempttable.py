# SPDX-License-Identifier: GPL-2.0-only
"""Preemptions of every vCPU in one phase as plain text: how many, how long, by whom, and what they hit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lab.judge.delaysources import delay_of
from lab.judge.evidence import Evidence
from lab.judge.figure import render_amount, render_time
from lab.judge.holders import STATES, count_hits
from lab.judge.layout import MISSING, Column, Table, fit, wrap
from lab.judge.physicscheck import render_physics
from lab.judge.preemptions import per_second
from lab.judge.traced import trace_doubts, vcpu_trace_doubts
from lab.plan.labplan import HOST_SCOPE
from lab.units import format_seconds

if TYPE_CHECKING:
    from lab.trace.distribution import Bucket
    from lab.trace.model import Times
    from lab.trace.summary import PhaseTrace, VcpuPreemptions

#: Takers told of each vCPU.
_TAKERS = 3
_BAR = 36

LEGEND = (
    "/s: preemptions per second; p50 to max: their lengths; wake: p99 from wake-up to running; share: of the "
    "window, preempted; run delay: time in which it wanted to run and did not, by the trace, by schedstat of its "
    "thread, and by the guest's steal column; apart: between the farthest of these; irqs_off: the least it can be"
)

#: What stands above two of the tables.
DELAYS_TITLE = "Run delay, % of the window, by"
HOLDERS_TITLE = "What preemptions hit in guests, % of those of which that can be told"

Cells = list[str | float | None]


def render_preempt(evidence: Evidence, phase: str) -> str:
    """All that is known of preemptions in `phase`; without traces what counters tell. Ends in a newline.

    ASCII, no line longer than 75 columns.
    """
    window, trace = evidence.phase(phase), evidence.trace(phase)
    if window is None:
        return f"Phase {phase}: not measured\n"
    length = format_seconds(window.end_ns - window.start_ns)
    if trace is None:
        lines = wrap(f"Phase {phase}, {length}: not traced, so these are counters only")
        lines += _counters(evidence, phase)
        lines += [line for text in evidence.phase_doubts(phase) for line in wrap(f"! {text}", 0, 2)]
        return "\n".join(lines) + "\n"
    lines = wrap(f"Phase {phase}, {length}: preemptions, by the trace; times in ms")
    lines += [*lengths_table(evidence, phase).lines(), "", DELAYS_TITLE]
    lines += delays_table(evidence, phase, takers=True).lines()
    lines += [line for text in pattern_texts(trace) for line in wrap(text, 2, 4)]
    holders = holders_table(evidence, trace).lines()
    lines += ["", HOLDERS_TITLE, *holders] if holders else []
    for what, columns in (
        ("preemptions", [one.lengths_ns for one in trace.vcpus]),
        ("waits after a wake-up", [one.latencies_ns for one in trace.vcpus]),
    ):
        lines += _histogram(what, columns)
    trust = [line for text in trust_texts(evidence, trace) for line in wrap(text, 0, 2)]
    return "\n".join([*lines, "", *trust]) + "\n"


def _vcpus(evidence: Evidence) -> Iterator[tuple[str, int]]:
    return ((node.name, one.vcpu) for node in evidence.plan.nodes for one in node.vcpus)


def _head(evidence: Evidence) -> list[Column]:
    names = [node.name for node in evidence.plan.nodes]
    return [Column("node", fit(names, 4, 12), text=True), Column("vCPU", 4)]


def lengths_table(evidence: Evidence, phase: str) -> Table:
    """How often each vCPU was preempted, and for how long; times in ms."""
    names = ("/s", "p50", "p90", "p99", "max", "wake", "share %")
    columns = [*_head(evidence), *(Column(name, 7 if name == "share %" else 6) for name in names)]
    rows = [[*vcpu, *_length_cells(evidence.traced(*vcpu, phase))] for vcpu in _vcpus(evidence)]
    return Table(columns, rows)


def _length_cells(seen: VcpuPreemptions | None) -> Cells:
    if seen is None or seen.elapsed_ns <= 0:
        return [None] * 7
    rate = per_second(len(seen.lengths_ns), seen.elapsed_ns)
    times = [
        *(_percentile_ms(seen.lengths_ns, share) for share in (0.50, 0.90, 0.99)),
        float(seen.lengths_ns[-1]) / 1e6 if len(seen.lengths_ns) else None,
        _percentile_ms(seen.latencies_ns, 0.99),
    ]
    cells: Cells = [MISSING if one is None else render_amount(one) for one in times]
    return [rate, *cells, 100 * seen.preempted_ns / seen.elapsed_ns]


def _percentile_ms(sorted_ns: Times, share: float) -> float | None:
    from lab.trace.distribution import percentile

    estimate = percentile(sorted_ns, share)
    return None if estimate is None else estimate.value / 1e6


def _counters(evidence: Evidence, phase: str) -> list[str]:
    """What there is without a trace: switches per second, and run delay by two sources."""
    head = _head(evidence)
    columns = [*head, Column("invol/s", 8), Column("slices/s", 8), Column("KVM/s", 8)]
    rows: list[Cells] = []
    for node, vcpu in _vcpus(evidence):
        window = evidence.vcpu(node, vcpu, phase)
        counts = (
            [None] * 3
            if window is None
            else [window.involuntary_switches, window.slices, window.kvm_preemption_reported]
        )
        elapsed_ns = 0 if window is None else window.elapsed_ns
        rows.append([node, vcpu, *(per_second(one, elapsed_ns) for one in counts)])
    about = wrap(
        "invol: involuntary switches of the vCPU's thread; slices: times it was put on a pCPU; KVM: preemptions "
        "that it reported to the guest"
    )
    delays = delays_table(evidence, phase, takers=False).lines()
    return [*Table(columns, rows).lines(), "", DELAYS_TITLE, *delays, "", *about]


def delays_table(evidence: Evidence, phase: str, *, takers: bool) -> Table:
    """Run delay of each vCPU by three sources; with `takers` also who took most of it."""
    names = ("trace", "sched", "guest", "apart")
    columns = [*_head(evidence), *(Column(name, 5) for name in names)]
    taken = Column("", 0, text=True)
    if takers:
        taken = Column("mostly taken by", 73 - sum(one.width + 1 for one in columns), text=True)
        columns = [*columns, taken]
    rows: list[Cells] = []
    for node, vcpu in _vcpus(evidence):
        one = delay_of(evidence, node, vcpu, phase)
        cells: Cells = [node, vcpu, one.trace_pct, one.schedstat_pct, one.guest_pct, one.apart_pct]
        rows.append([*cells, *([_takers(evidence.traced(node, vcpu, phase), taken.width)] if takers else [])])
    return Table(columns, rows)


def _takers(seen: VcpuPreemptions | None, width: int) -> str:
    """Those that took most of the time, as many as there is room for: ``guest2 vcpu 0 98 %, hog noisy 2 %``."""
    if seen is None or not seen.by:
        return MISSING
    most = sorted(seen.by, key=lambda hit: -hit.total_ns)[:_TAKERS]
    total_ns = sum(hit.total_ns for hit in seen.by) or 1
    told = [f"{hit.taker} {100 * hit.total_ns / total_ns:.0f} %" for hit in most]
    while len(told) > 1 and len(", ".join(told)) > width:
        told.pop()
    return ", ".join(told)


def holders_table(evidence: Evidence, trace: PhaseTrace) -> Table:
    """Of every guest that was traced, what its preemptions hit; without rows where none was."""
    rows: list[Cells] = []
    for node in evidence.plan.nodes:
        of_node = [one for one in trace.vcpus if one.node == node.name]
        holders = [one.holders for one in of_node if one.holders is not None]
        if holders:
            told = [sum(one.told for one in holders), sum(one.told_by_tick for one in holders)]
            rows.append([node.name, *told, *(_share(count_hits(of_node, state)) for state in STATES)])
    columns = [
        _head(evidence)[0],
        Column("told", 7),
        Column("by tick", 7),
        *(Column(one, 10) for one in STATES),
    ]
    return Table(columns, rows)


def _share(counts: tuple[int, int] | None) -> str | float:
    """Per cent; words where there is none."""
    if counts is None:
        return MISSING
    hits, told = counts
    return 100 * hits / told if told else "none told"


def pattern_texts(trace: PhaseTrace) -> Iterator[str]:
    """Takers that come and go in a fixed period."""
    for one in trace.patterns:
        if one.periodic:
            period, spread, length = (
                render_time(ns) for ns in (one.period_ns, one.period_spread_ns, one.length_ns)
            )
            yield f"{one.taker} comes every {period} (+- {spread}) for {length}, {one.bursts} times"


def _histogram(what: str, columns: Sequence[Times]) -> list[str]:
    """Of all vCPUs, in powers of two."""
    import numpy as np

    from lab.trace.distribution import histogram

    buckets = histogram(np.concatenate(columns)) if columns else ()
    if not buckets:
        return ["", f"No {what}"]
    most = max(one.count for one in buckets)
    return ["", f"Lengths of {what}, all vCPUs", *(_bar(one, most) for one in buckets)]


def _bar(bucket: Bucket, most: int) -> str:
    low, high = (render_time(edge * 1000) for edge in (bucket.low_us, bucket.high_us))
    bar = "#" * (-(-_BAR * bucket.count // most))
    return f"  {low:>8} .. {high:>8} {bucket.count:>9} {bar}".rstrip()


def trust_texts(evidence: Evidence, trace: PhaseTrace) -> Iterator[str]:
    """How far all of that can be trusted."""
    for physics in trace.physics:
        yield f"physics of {physics.node}: {render_physics(physics)}"
    errors = [one.error_ns for one in trace.vcpus]
    if errors:
        yield f"clock of the host's trace: times within {render_time(max(errors))}"
    lost = {machine: count for machine, count in (trace.lost or {}).items() if count}
    names = (f"{count} of {'the host' if name == HOST_SCOPE else name}" for name, count in lost.items())
    yield f"lost events: {', '.join(names) or 'none'}"
    yield from (f"! {text}" for text in _doubts(evidence, trace.phase))


def _doubts(evidence: Evidence, phase: str) -> Iterator[str]:
    of_phase = dict.fromkeys(trace_doubts(evidence, phase))
    yield from of_phase
    for node, vcpu in _vcpus(evidence):
        for doubt in vcpu_trace_doubts(evidence, node, vcpu, phase):
            if doubt not in of_phase:
                yield f"{node} vcpu {vcpu}: {doubt}"
