# SPDX-License-Identifier: GPL-2.0-only
"""What traces say of a vCPU or a node in a phase, and what speaks against trusting it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from lab.judge.bounds import Finding
from lab.judge.evidence import Evidence, join_reasons
from lab.judge.figure import render_time
from lab.judge.pervcpu import NOTHING_SEEN
from lab.judge.verdict import Outcome, Verdict
from lab.measure.windows import SHORT_PREFIX
from lab.plan.labplan import HOST_SCOPE, ExpectationPlan

if TYPE_CHECKING:
    from lab.trace.summary import Physics, VcpuPreemptions

#: Of the window, how much may be unknown of what a vCPU did: the ends, before its first event and after its last.
MAX_UNKNOWN_PCT = 1.0


def trace_doubts(evidence: Evidence, phase: str, node: str | None = None) -> Iterator[str]:
    """Why nothing traced in `phase` may count; with `node`, nothing that its own trace is needed for, either."""
    doubts = evidence.phase_doubts(phase, ignore_disagreement=True)
    yield from (doubt for doubt in doubts if not doubt.startswith(SHORT_PREFIX))
    trace = evidence.trace(phase)
    if trace is None:
        if evidence.phase(phase) is not None:
            yield f"phase {phase} was not traced"
        return
    yield from trace.doubts
    for machine in (HOST_SCOPE, node):
        lost = (trace.lost or {}).get(machine or "", 0)
        if lost:
            whose = "the host's trace" if machine == HOST_SCOPE else f"the trace of {machine}"
            yield f"{lost} events of {whose} were lost"


def vcpu_trace_doubts(evidence: Evidence, node: str, vcpu: int, phase: str) -> Iterator[str]:
    """The same for one vCPU, with what speaks against its own figures."""
    yield from trace_doubts(evidence, phase)
    seen = evidence.traced(node, vcpu, phase)
    if seen is not None:
        yield from seen.doubts
        yield from _unknown(seen)
    elif evidence.trace(phase) is not None:
        yield f"{node} vcpu {vcpu} is not in the trace of phase {phase}"


def _unknown(seen: VcpuPreemptions) -> Iterator[str]:
    if seen.elapsed_ns <= 0:
        yield "the traced window is empty"
        return
    known_ns = seen.run_ns + seen.preempted_ns + seen.waking_ns + seen.blocked_ns
    unknown_pct = 100 * (seen.elapsed_ns - known_ns) / seen.elapsed_ns
    if unknown_pct > MAX_UNKNOWN_PCT:
        name = f"{seen.node} vcpu {seen.vcpu}"
        yield f"what {name} did is unknown for {unknown_pct:.1f} % of the window (at most {MAX_UNKNOWN_PCT:g} %)"


def evaluate_traced_vcpus(
    expectation: ExpectationPlan, evidence: Evidence, decide: Callable[[VcpuPreemptions], Finding]
) -> Iterator[Verdict]:
    """One verdict for each phase and vCPU. What `decide` says counts where nothing speaks against it; elsewhere
    what it observed is still told."""
    for phase in expectation.phases:
        for node, vcpu in expectation.targets:
            seen = evidence.traced(node, vcpu, phase)
            doubts = join_reasons(vcpu_trace_doubts(evidence, node, vcpu, phase))
            found = _decide_or_doubt(seen, doubts, decide)
            yield Verdict(
                found.outcome, expectation.text, f"{node} vcpu {vcpu}", phase, found.observed, found.reason
            )


def _decide_or_doubt(
    seen: VcpuPreemptions | None, doubts: str, decide: Callable[[VcpuPreemptions], Finding]
) -> Finding:
    if seen is None or seen.elapsed_ns <= 0:
        return Finding(Outcome.UNDECIDED, NOTHING_SEEN, doubts)
    found = decide(seen)
    return Finding(Outcome.UNDECIDED, found.observed, doubts) if doubts else found


def physics_of(evidence: Evidence, node: str, phase: str) -> Physics | None:
    """How `node`'s trace fits the host's; None where it was not traced."""
    trace = evidence.trace(phase)
    return None if trace is None else next((one for one in trace.physics if one.node == node), None)


def wrong_clock(physics: Physics) -> str | None:
    """Why what this guest's trace is joined with must not be believed; None where nothing is wrong."""
    if not physics.violations:
        return None
    return (
        f"{physics.violations} of {physics.checked} events of {physics.node} lie where their vCPU did not run, "
        f"up to {render_time(physics.worst_ns)} off: its clock is wrong by more than the "
        f"{render_time(physics.error_ns)} that were assumed"
    )
