# SPDX-License-Identifier: GPL-2.0-only
"""Preemption counters of vCPUs, per second of elapsed time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lab.judge.bounds import Finding, evaluate_value
from lab.judge.evidence import Evidence
from lab.judge.pervcpu import evaluate_per_vcpu
from lab.judge.verdict import Outcome, Verdict
from lab.measure.windows import VcpuWindow
from lab.plan.labplan import ExpectationPlan
from lab.units import format_seconds

#: Every counter an expectation can name, and where it stands in a window.
COUNTERS: dict[str, Callable[[VcpuWindow], int | None]] = {
    "involuntary_switches": lambda window: window.involuntary_switches,
    "slices": lambda window: window.slices,
    "kvm_preemption_reported": lambda window: window.kvm_preemption_reported,
    "kvm_preemption_other": lambda window: window.kvm_preemption_other,
}


def per_second(count: int | None, elapsed_ns: int) -> float | None:
    """`count` per second; None where it is missing or the window is empty."""
    return None if count is None or elapsed_ns <= 0 else count * 1e9 / elapsed_ns


def evaluate_preemptions(expectation: ExpectationPlan, evidence: Evidence) -> Iterator[Verdict]:
    """One verdict for each phase and vCPU; bounds per second.

    SKIPPED where the host's KVM has no such statistic at all, which no longer run would mend; UNDECIDED where
    only this window lacks it. Raises KeyError for a counter that no plan may hold.
    """
    counter = str(expectation.counter)
    read = COUNTERS[counter]
    if counter.startswith("kvm_") and _never_seen(evidence, read):
        yield from _skip_all(expectation, f"this host's KVM has no statistic {counter.removeprefix('kvm_')}")
        return

    def observe(window: VcpuWindow) -> str:
        rate = per_second(read(window), window.elapsed_ns)
        return "not seen" if rate is None else f"{rate:.1f}/s ({format_seconds(window.elapsed_ns)})"

    def decide(window: VcpuWindow) -> Finding:
        rate = per_second(read(window), window.elapsed_ns)
        if rate is None:
            return Finding(Outcome.UNDECIDED, observe(window), f"{counter} was not seen in this window")
        return evaluate_value(rate, expectation, observe(window), "/s")

    yield from evaluate_per_vcpu(expectation, evidence, decide, observe)


def _never_seen(evidence: Evidence, read: Callable[[VcpuWindow], int | None]) -> bool:
    windows = evidence.measurements.vcpus
    return bool(windows) and all(read(window) is None for window in windows)


def _skip_all(expectation: ExpectationPlan, reason: str) -> Iterator[Verdict]:
    for phase in expectation.phases:
        for node, vcpu in expectation.targets:
            subject = f"{node} vcpu {vcpu}"
            yield Verdict(Outcome.SKIPPED, expectation.text, subject, phase, "not available", reason)
