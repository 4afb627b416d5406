# SPDX-License-Identifier: GPL-2.0-only
"""What preemptions hit in the guest: the holder of a lock, a section that must not be preempted, ..."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from lab.judge.bounds import Finding
from lab.judge.evidence import Evidence, join_reasons
from lab.judge.figure import Figure, evaluate_figure, render_figure, render_time
from lab.judge.pervcpu import NOTHING_SEEN
from lab.judge.preempted import rate_figure
from lab.judge.traced import physics_of, trace_doubts, vcpu_trace_doubts, wrong_clock
from lab.judge.verdict import Outcome, Verdict
from lab.plan.labplan import ExpectationPlan
from lab.units import format_seconds

if TYPE_CHECKING:
    from lab.trace.summary import Holders, VcpuPreemptions

#: What can be told of a preemption: how many it was so of, and of how many it could be told.
STATES: dict[str, Callable[[Holders], tuple[int | None, int]]] = {
    "lock": lambda one: (one.in_lock, one.told),
    "no_preempt": lambda one: (one.no_preempt, one.told_by_tick),
    "irqs_off": lambda one: (one.irqs_off, one.told_by_tick),
    "avoided": lambda one: (one.on_avoided, one.told),
}


def evaluate_preempted_while(expectation: ExpectationPlan, evidence: Evidence) -> Iterator[Verdict]:
    """One verdict for each phase and node, over all of its vCPUs.

    Bounds are in per cent of the preemptions of which it could be told, or how many per second where the
    expectation's counter is per_s. SKIPPED where the guest cannot tell, whatever was traced.
    """
    for phase in expectation.phases:
        for node, _ in expectation.targets:
            found = _find(expectation, evidence, node, phase)
            yield Verdict(found.outcome, expectation.text, node, phase, found.observed, found.reason)


def _find(expectation: ExpectationPlan, evidence: Evidence, node: str, phase: str) -> Finding:
    vcpus = evidence.planned_vcpus(node)
    seen = [one for vcpu in vcpus if (one := evidence.traced(node, vcpu, phase)) is not None]
    doubts = [*trace_doubts(evidence, phase, node)]
    doubts += [doubt for vcpu in vcpus for doubt in vcpu_trace_doubts(evidence, node, vcpu, phase)]
    if not seen:
        return Finding(Outcome.UNDECIDED, NOTHING_SEEN, join_reasons(doubts))
    if all(one.holders is None for one in seen):
        doubts.append(f"{node} itself was not traced in phase {phase}")
        return Finding(Outcome.UNDECIDED, NOTHING_SEEN, join_reasons(doubts))
    counts = count_hits(seen, str(expectation.statistic))
    if counts is None:
        return Finding(Outcome.SKIPPED, "not available", _cannot_tell(node, str(expectation.statistic)))
    doubts += _clock_doubts(evidence, node, phase, seen)
    found = _decide(expectation, seen, *counts)
    return Finding(Outcome.UNDECIDED, found.observed, join_reasons(doubts)) if doubts else found


def count_hits(seen: Sequence[VcpuPreemptions], state: str) -> tuple[int, int] | None:
    """How many preemptions of these vCPUs hit `state`, and of how many it could be told; None where of none of the
    vCPUs it can."""
    read = STATES[state]
    pairs = [read(one.holders) for one in seen if one.holders is not None]
    counted = [(hits, told) for hits, told in pairs if hits is not None]
    return (sum(hits for hits, _ in counted), sum(told for _, told in counted)) if counted else None


def _decide(expectation: ExpectationPlan, seen: Sequence[VcpuPreemptions], hits: int, told: int) -> Finding:
    from lab.trace.distribution import share_pct

    longest_ns = max(one.elapsed_ns for one in seen)
    of = f"of {told} that could be told, {sum(len(one.lengths_ns) for one in seen)} in all"
    if expectation.counter == "per_s":
        rate = rate_figure(hits, longest_ns)
        return evaluate_figure(rate, expectation, f"{render_figure(rate)}, {hits} {of}", longest_ns)
    if expectation.minimum is None and not any(one.preempted_ns for one in seen):
        return Finding(Outcome.PASSED, f"no preemption in {format_seconds(longest_ns)}")
    estimate = share_pct(hits, told)
    if estimate is None:
        return Finding(Outcome.UNDECIDED, of, "of no preemption could be told what it hit")
    figure = Figure(estimate.value, estimate.low, estimate.high, " %", count=told)
    observed = f"{render_figure(figure)} {of}"
    return evaluate_figure(figure, expectation, observed, longest_ns)


def _cannot_tell(node: str, state: str) -> str:
    return {
        "lock": f"no load marked in the trace of {node} what it held",
        "no_preempt": f"the kernel of {node} does not count sections that must not be preempted "
        "(CONFIG_PREEMPT_COUNT)",
        "avoided": f"what {node} was to avoid is not known",
    }.get(state, f"the trace of {node} does not tell")


def _clock_doubts(
    evidence: Evidence, node: str, phase: str, seen: Sequence[VcpuPreemptions]
) -> Iterator[str]:
    """Where the guest's clock is not good enough to say what of the guest a preemption fell upon."""
    physics = physics_of(evidence, node, phase)
    if physics is None:
        return
    wrong = wrong_clock(physics)
    if wrong:
        yield wrong
    lengths = [length for one in seen for length in one.lengths_ns.tolist()]
    shorter = sum(length < 2 * physics.error_ns for length in lengths)
    if 2 * shorter > len(lengths):
        yield (
            f"the clock of {node} is known within {render_time(physics.error_ns)} only, and {shorter} of "
            f"{len(lengths)} preemptions are shorter than twice that"
        )
