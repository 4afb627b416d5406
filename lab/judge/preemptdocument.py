# SPDX-License-Identifier: GPL-2.0-only
"""Preemptions as a document for programs. Keys are stable; new ones may be added. Units stand in the keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lab.judge.delaysources import delay_of
from lab.judge.evidence import Evidence
from lab.judge.traced import trace_doubts, vcpu_trace_doubts

if TYPE_CHECKING:
    from lab.trace.distribution import Estimate
    from lab.trace.model import Times
    from lab.trace.summary import PhaseTrace, VcpuPreemptions

#: Version of the document; it grows when a key changes its meaning or goes away.
FORMAT = 1


def preempt_document(evidence: Evidence, phases: Sequence[str]) -> dict[str, Any]:
    """Plain containers, ready for `json.dumps`: format, name, lab_id, phases[].

    A phase that was not traced has `traced` false, and of its vCPUs the counters alone. Intervals are pairs
    [low, high] with 95 % confidence; None for an end that is open.
    """
    return {
        "format": FORMAT,
        "name": evidence.plan.name,
        "lab_id": evidence.plan.lab_id,
        "phases": [_phase(evidence, phase) for phase in phases],
    }


def _phase(evidence: Evidence, phase: str) -> dict[str, Any]:
    window, trace = evidence.phase(phase), evidence.trace(phase)
    return {
        "phase": phase,
        "measured": window is not None,
        "traced": trace is not None,
        "elapsed_ns": None if window is None else window.end_ns - window.start_ns,
        "vcpus": list(_vcpus(evidence, phase)),
        **_of_trace(trace),
        "doubts": list(
            dict.fromkeys(trace_doubts(evidence, phase) if trace else evidence.phase_doubts(phase))
        ),
    }


def _of_trace(trace: PhaseTrace | None) -> dict[str, Any]:
    if trace is None:
        return {"physics": [], "lost": None, "patterns": []}
    return {
        "physics": [asdict(one) for one in trace.physics],
        "lost": dict(trace.lost or {}),
        "patterns": [{**asdict(one), "periodic": one.periodic} for one in trace.patterns],
    }


def _vcpus(evidence: Evidence, phase: str) -> Iterator[dict[str, Any]]:
    for node in evidence.plan.nodes:
        for planned in node.vcpus:
            vcpu = planned.vcpu
            delay, seen = delay_of(evidence, node.name, vcpu, phase), evidence.traced(node.name, vcpu, phase)
            window = evidence.vcpu(node.name, vcpu, phase)
            yield {
                "node": node.name,
                "vcpu": vcpu,
                "run_delay_pct": {
                    "trace": delay.trace_pct,
                    "schedstat": delay.schedstat_pct,
                    "guest": delay.guest_pct,
                    "apart": delay.apart_pct,
                },
                "involuntary_switches": None if window is None else window.involuntary_switches,
                "slices": None if window is None else window.slices,
                "kvm": {} if window is None else dict(window.kvm),
                "trace": None if seen is None else _traced(seen),
                "doubts": list(dict.fromkeys(vcpu_trace_doubts(evidence, node.name, vcpu, phase)))
                if seen
                else [],
            }


def _traced(seen: VcpuPreemptions) -> dict[str, Any]:
    from lab.trace.distribution import rate_per_s

    return {
        "elapsed_ns": seen.elapsed_ns,
        "run_ns": seen.run_ns,
        "preempted_ns": seen.preempted_ns,
        "waking_ns": seen.waking_ns,
        "blocked_ns": seen.blocked_ns,
        "migrations": seen.migrations,
        "per_s": _estimate(rate_per_s(len(seen.lengths_ns), seen.elapsed_ns)),
        "preemptions": _lengths(seen.lengths_ns),
        "wakeups": _lengths(seen.latencies_ns),
        "by": [asdict(hit) for hit in seen.by],
        "holders": None if seen.holders is None else asdict(seen.holders),
        "error_ns": seen.error_ns,
    }


def _lengths(sorted_ns: Times) -> dict[str, Any]:
    from lab.trace.distribution import distribution

    seen = distribution(sorted_ns)
    return {
        "count": seen.count,
        "p50_ns": _estimate(seen.p50),
        "p90_ns": _estimate(seen.p90),
        "p99_ns": _estimate(seen.p99),
        "max_ns": seen.max_ns,
        "histogram": [asdict(one) for one in seen.histogram],
    }


def _estimate(estimate: Estimate | None) -> dict[str, Any] | None:
    if estimate is None:
        return None
    high = None if estimate.high == float("inf") else estimate.high
    return {"value": estimate.value, "interval": [estimate.low, high]}
