# SPDX-License-Identifier: GPL-2.0-only
"""What was sampled, as counters: steal of each vCPU on both sides, and what others ran on each pCPU."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lab.export.branches import Branches
from lab.export.packets import Track
from lab.export.tracewriter import TraceWriter
from lab.measure.course import VcpuCourse
from lab.measure.windows import Measurements


def write_course(writer: TraceWriter, branches: Branches, course: VcpuCourse) -> None:
    """Steal of one vCPU, over each step of its course."""
    if any(one is not None for one in course.guest_pct):
        track = branches.guest_steal(course.node, course.vcpu)
        _write_steps(writer, track, course.edges_ns, course.guest_pct)
    if any(one is not None for one in course.host_pct):
        track = branches.host_steal(course.node, course.vcpu)
        _write_steps(writer, track, course.edges_ns, course.host_pct)


def _write_steps(
    writer: TraceWriter, track: Track, edges_ns: Sequence[int], values: Sequence[float | None]
) -> None:
    """A value holds from the beginning of its step; the last one is said again at its end."""
    told = [(t_ns, value) for t_ns, value in zip(edges_ns, values, strict=False) if value is not None]
    last = max(place for place, value in enumerate(values) if value is not None)
    told.append((edges_ns[last + 1], told[-1][1]))
    _write_counts(writer, track, told)


def _write_counts(writer: TraceWriter, track: Track, told: Sequence[tuple[int, float]]) -> None:
    times = np.array([t_ns for t_ns, _ in told], dtype=np.int64)
    writer.counts(track, times, np.array([value for _, value in told], dtype=np.float64))


def write_foreign(writer: TraceWriter, branches: Branches, measurements: Measurements) -> None:
    """The share of others on each leased pCPU, at both edges of each measured window."""
    shares = {proof.phase: dict(proof.foreign_pct) for proof in measurements.proofs}
    for pcpu in sorted({pcpu for share in shares.values() for pcpu in share}):
        told = [
            (t_ns, shares[phase.phase][pcpu])
            for phase in measurements.phases
            if pcpu in shares.get(phase.phase, {})
            for t_ns in (phase.start_ns, phase.end_ns)
        ]
        _write_counts(writer, branches.foreign(pcpu), told)
