# SPDX-License-Identifier: GPL-2.0-only
"""Directed yields, by KVM's own statistics: a vCPU that spins gives its time to one that may hold the lock."""

from __future__ import annotations

from collections.abc import Iterator

from lab.judge.bounds import Finding
from lab.judge.evidence import Evidence, join_reasons
from lab.judge.figure import Figure, evaluate_figure, render_figure
from lab.judge.verdict import Outcome, Verdict
from lab.measure.windows import VcpuWindow
from lab.plan.labplan import ExpectationPlan

#: virt/kvm/kvm_main.c, kvm_vcpu_on_spin and kvm_vcpu_yield_to; x86 and others count them.
ATTEMPTED, SUCCESSFUL = "directed_yield_attempted", "directed_yield_successful"


def evaluate_directed_yield(expectation: ExpectationPlan, evidence: Evidence) -> Iterator[Verdict]:
    """One verdict for each phase and node, over all of its vCPUs; bounds in per cent of the yields attempted.

    SKIPPED where the host's KVM has no such statistic at all.
    """
    has = any(ATTEMPTED in one.kvm and SUCCESSFUL in one.kvm for one in evidence.measurements.vcpus)
    for phase in expectation.phases:
        for node, _ in expectation.targets:
            found = _find(expectation, evidence, node, phase) if has else _skip()
            yield Verdict(found.outcome, expectation.text, node, phase, found.observed, found.reason)


def _skip() -> Finding:
    return Finding(Outcome.SKIPPED, "not available", f"this host's KVM has no statistic {ATTEMPTED}")


def _find(expectation: ExpectationPlan, evidence: Evidence, node: str, phase: str) -> Finding:
    from lab.trace.distribution import share_pct

    vcpus = evidence.planned_vcpus(node)
    windows = [one for vcpu in vcpus if (one := evidence.vcpu(node, vcpu, phase)) is not None]
    attempted, successful = (_total(windows, name) for name in (ATTEMPTED, SUCCESSFUL))
    observed = f"{successful} of {attempted} succeeded"
    doubts = join_reasons(_doubts(evidence, node, phase))
    if doubts:
        return Finding(Outcome.UNDECIDED, observed, doubts)
    estimate = share_pct(min(successful, attempted), attempted)
    if estimate is None:
        return Finding(Outcome.UNDECIDED, observed, f"{node} attempted none in phase {phase}")
    figure = Figure(estimate.value, estimate.low, estimate.high, " %", count=attempted)
    longest_ns = max(one.elapsed_ns for one in windows)
    return evaluate_figure(figure, expectation, f"{render_figure(figure)}, {observed}", longest_ns)


def _total(windows: list[VcpuWindow], name: str) -> int:
    return round(sum(one.kvm.get(name, 0) for one in windows))


def _doubts(evidence: Evidence, node: str, phase: str) -> Iterator[str]:
    for vcpu in evidence.planned_vcpus(node):
        yield from evidence.vcpu_doubts(node, vcpu, phase, ignore_disagreement=True)
        window = evidence.vcpu(node, vcpu, phase)
        if window is not None and not {ATTEMPTED, SUCCESSFUL} <= window.kvm.keys():
            yield f"KVM's statistics of {node} vcpu {vcpu} were not seen in this window"
