# SPDX-License-Identifier: GPL-2.0-only
"""Run time of a guest's vCPUs on the host, over that of a reference guest."""

from __future__ import annotations

from collections.abc import Iterator

from lab.judge.bounds import Finding, evaluate_value
from lab.judge.evidence import Evidence, join_reasons
from lab.judge.verdict import Outcome, Verdict
from lab.plan.labplan import ExpectationPlan


def evaluate_host_share(expectation: ExpectationPlan, evidence: Evidence) -> Iterator[Verdict]:
    """One verdict for each phase and node; bounds are ratios. The reference itself is SKIPPED."""
    reference = str(expectation.reference)
    for phase in expectation.phases:
        for node, _ in expectation.targets:
            found = _find(expectation, evidence, node, reference, phase)
            yield Verdict(found.outcome, expectation.text, node, phase, found.observed, found.reason)


def _find(expectation: ExpectationPlan, evidence: Evidence, node: str, reference: str, phase: str) -> Finding:
    if node == reference:
        return Finding(Outcome.SKIPPED, "1.00", f"{node} is the reference itself")
    used, reference_used = (_pcpus_used(evidence, name, phase) for name in (node, reference))
    observed = f"{used:.3f} pCPUs over {reference_used:.3f}"
    doubts = join_reasons((*_doubts(evidence, node, phase), *_doubts(evidence, reference, phase)))
    if doubts:
        return Finding(Outcome.UNDECIDED, observed, doubts)
    if reference_used <= 0:
        return Finding(Outcome.UNDECIDED, observed, f"{reference} did not run in phase {phase}")
    ratio = used / reference_used
    return evaluate_value(ratio, expectation, f"{ratio:.2f} ({observed})")


def _pcpus_used(evidence: Evidence, node: str, phase: str) -> float:
    """Run time over elapsed time, summed over vCPUs: windows may differ in length by a sample or so."""
    windows = (evidence.vcpu(node, vcpu, phase) for vcpu in evidence.planned_vcpus(node))
    return sum(
        window.host_run_ns / window.elapsed_ns
        for window in windows
        if window is not None and window.host_run_ns is not None and window.elapsed_ns > 0
    )


def _doubts(evidence: Evidence, node: str, phase: str) -> Iterator[str]:
    for vcpu in evidence.planned_vcpus(node):
        window = evidence.vcpu(node, vcpu, phase)
        yield from evidence.vcpu_doubts(node, vcpu, phase)
        if window is not None and window.host_run_ns is None:
            yield f"the run time of {node} vcpu {vcpu} on the host was not seen"
