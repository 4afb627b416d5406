# SPDX-License-Identifier: GPL-2.0-only
"""How evenly the host's time is shared among busy vCPUs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lab.judge.bounds import Finding
from lab.judge.evidence import Evidence, join_reasons
from lab.judge.figure import Figure, evaluate_figure
from lab.judge.traced import trace_doubts
from lab.judge.verdict import Outcome, Verdict
from lab.measure.windows import VcpuWindow
from lab.plan.labplan import ExpectationPlan
from lab.stats.fairness import jain_index

#: A vCPU that wanted a pCPU for less of the window is not busy: it got less because it wanted less.
BUSY_PCT = 90.0


def evaluate_fairness(expectation: ExpectationPlan, evidence: Evidence) -> Iterator[Verdict]:
    """One verdict for each phase, over all matching vCPUs that wanted to run nearly all the time.

    By schedstat, and where the phase was traced by the trace, too: the two indices are the ends of the error bar.
    """
    for phase in expectation.phases:
        found = _find(expectation, evidence, phase)
        yield Verdict(found.outcome, expectation.text, "busy vCPUs", phase, found.observed, found.reason)


def _find(expectation: ExpectationPlan, evidence: Evidence, phase: str) -> Finding:
    windows = [
        one for node, vcpu in expectation.targets if (one := evidence.vcpu(node, vcpu, phase)) is not None
    ]
    busy = [one for one in windows if is_busy(one)]
    observed = f"{len(busy)} of {len(expectation.targets)} vCPUs were busy"
    doubts = join_reasons(
        doubt
        for node, vcpu in expectation.targets
        for doubt in evidence.vcpu_doubts(node, vcpu, phase, ignore_disagreement=True)
    )
    index = jain_index([_run_pct(one) for one in busy])
    if index is None or len(busy) < 2:
        return Finding(Outcome.UNDECIDED, observed, doubts or "there are no two busy vCPUs to compare")
    figure = _figure(index, _traced_index(evidence, phase, busy))
    observed = f"{_render(figure)}, {_spread(busy)}; {observed}"
    if doubts:
        return Finding(Outcome.UNDECIDED, observed, doubts)
    return evaluate_figure(figure, expectation, observed, max(one.elapsed_ns for one in busy))


def is_busy(window: VcpuWindow) -> bool:
    """Whether it ran or waited for a pCPU nearly all the time."""
    if window.host_run_ns is None or window.host_delay_ns is None or window.elapsed_ns <= 0:
        return False
    return 100 * (window.host_run_ns + window.host_delay_ns) >= BUSY_PCT * window.elapsed_ns


def _run_pct(window: VcpuWindow) -> float:
    return 100 * (window.host_run_ns or 0) / window.elapsed_ns


def _traced_index(evidence: Evidence, phase: str, busy: Sequence[VcpuWindow]) -> float | None:
    """The index by the trace; None where that is missing or doubted."""
    if evidence.trace(phase) is None or any(trace_doubts(evidence, phase)):
        return None
    traced = [evidence.traced(one.node, one.vcpu, phase) for one in busy]
    shares = [one.run_ns / one.elapsed_ns for one in traced if one is not None and one.elapsed_ns > 0]
    return jain_index(shares) if len(shares) == len(busy) else None


def _figure(index: float, traced: float | None) -> Figure:
    ends = (index, index if traced is None else traced)
    return Figure(index, min(ends), max(ends), "")


def _render(figure: Figure) -> str:
    other = figure.low if figure.low != figure.value else figure.high
    by_trace = "" if figure.low == figure.high else f" by schedstat, {other:.4f} by the trace"
    return f"{figure.value:.4f}{by_trace}"


def _spread(busy: Sequence[VcpuWindow]) -> str:
    shares = sorted(_run_pct(one) for one in busy)
    return f"they ran for {shares[0]:.1f} .. {shares[-1]:.1f} % of the window"
