# SPDX-License-Identifier: GPL-2.0-only
"""Preemptions and wake-ups of vCPUs one by one, out of the host's trace: how many, how long, by whom."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lab.judge.bounds import Finding
from lab.judge.evidence import Evidence
from lab.judge.figure import Figure, evaluate_figure, render_figure
from lab.judge.traced import evaluate_traced_vcpus
from lab.judge.verdict import Outcome, Verdict
from lab.plan.labplan import ExpectationPlan
from lab.units import format_seconds

if TYPE_CHECKING:
    from lab.trace.model import Times
    from lab.trace.summary import HitBy, VcpuPreemptions

#: Of the percentiles that can be expected: the share of lengths that they exceed.
PERCENTILES = {"p50": 0.50, "p90": 0.90, "p99": 0.99}
#: So many lengths are needed for an upper end of their intervals with 95 % (lab.trace.distribution.percentile).
_FEWEST = {name: math.ceil(math.log(0.025) / math.log(share)) for name, share in PERCENTILES.items()}
#: Standard errors on either side that make 95 % of a normal distribution.
_DEVIATIONS = 1.96


def evaluate_preempted(expectation: ExpectationPlan, evidence: Evidence) -> Iterator[Verdict]:
    """One verdict for each phase and vCPU: the statistic of its preemptions."""

    def decide(seen: VcpuPreemptions) -> Finding:
        if expectation.statistic == "rate":
            return _decide_rate(seen, len(seen.lengths_ns), expectation)
        if expectation.statistic == "share":
            return _decide_share(seen, expectation)
        return _decide_length(seen, seen.lengths_ns, expectation, "preemption")

    yield from evaluate_traced_vcpus(expectation, evidence, decide)


def evaluate_wakeup_latency(expectation: ExpectationPlan, evidence: Evidence) -> Iterator[Verdict]:
    """One verdict for each phase and vCPU: the statistic of its waits for a pCPU after it was woken."""

    def decide(seen: VcpuPreemptions) -> Finding:
        return _decide_length(seen, seen.latencies_ns, expectation, "wake-up")

    yield from evaluate_traced_vcpus(expectation, evidence, decide)


def evaluate_preempted_by(expectation: ExpectationPlan, evidence: Evidence) -> Iterator[Verdict]:
    """One verdict for each phase and vCPU: its preemptions by takers whose name begins with the words given."""

    def decide(seen: VcpuPreemptions) -> Finding:
        hits = hits_by(seen, str(expectation.taker))
        found = _decide_rate(seen, sum(hit.count for hit in hits), expectation)
        return Finding(found.outcome, f"{found.observed}{_others(seen, hits)}", found.reason)

    yield from evaluate_traced_vcpus(expectation, evidence, decide)


def hits_by(seen: VcpuPreemptions, words: str) -> list[HitBy]:
    """The preemptions by takers whose name begins with `words`."""
    return [hit for hit in seen.by if begins_with_words(hit.taker, words)]


def begins_with_words(taker: str, words: str) -> bool:
    """Whether the name of a taker begins with `words`, and they end where a word of it does: `guest1` is neither
    guest10 nor guest1-big."""
    if not taker.startswith(words):
        return False
    following = taker[len(words) : len(words) + 1]
    return not following or not words[-1].isalnum() or not (following.isalnum() or following == "-")


def _others(seen: VcpuPreemptions, hits: list[HitBy]) -> str:
    """Who it was most often otherwise: what a name that nobody has was meant to be."""
    others = [hit for hit in seen.by if hit not in hits]
    most = max(others, key=lambda hit: hit.count, default=None)
    return "" if most is None else f", most others by {most.taker}"


def _decide_rate(seen: VcpuPreemptions, count: int, expectation: ExpectationPlan) -> Finding:
    figure = rate_figure(count, seen.elapsed_ns)
    observed = f"{render_figure(figure)}, {count} in {format_seconds(seen.elapsed_ns)}"
    return evaluate_figure(figure, expectation, observed, seen.elapsed_ns)


def rate_figure(count: int, elapsed_ns: int) -> Figure:
    """Events per second of a window that is not empty."""
    from lab.trace.distribution import rate_per_s

    estimate = rate_per_s(count, elapsed_ns)
    assert estimate is not None, "an empty window is doubted before"
    return Figure(estimate.value, estimate.low, estimate.high, "/s", count=count)


def _decide_share(seen: VcpuPreemptions, expectation: ExpectationPlan) -> Finding:
    figure = share_figure(seen)
    observed = f"{render_figure(figure)}, {figure.count} preemptions in {format_seconds(seen.elapsed_ns)}"
    return evaluate_figure(figure, expectation, observed, seen.elapsed_ns)


def share_figure(seen: VcpuPreemptions) -> Figure:
    """The share of the window that the vCPU was preempted, in per cent.

    A sum of lengths that come at random varies by the root of the sum of their squares (compound Poisson).
    """
    value = 100 * seen.preempted_ns / seen.elapsed_ns
    squares = float((seen.lengths_ns.astype("float64") ** 2).sum())
    spread = _DEVIATIONS * 100 * math.sqrt(squares) / seen.elapsed_ns
    count = len(seen.lengths_ns)
    error = 100 * 2 * seen.error_ns * count / seen.elapsed_ns
    return Figure(value, max(0.0, value - spread), min(100.0, value + spread), " %", error, count)


def _decide_length(
    seen: VcpuPreemptions, lengths_ns: Times, expectation: ExpectationPlan, what: str
) -> Finding:
    statistic, elapsed = str(expectation.statistic), format_seconds(seen.elapsed_ns)
    figure = length_figure(lengths_ns, statistic, seen.error_ns)
    if figure is None:
        return _decide_nothing(expectation, f"no {what} in {elapsed}")
    observed = f"{render_figure(figure)}, {figure.count} {what}{'s' * (figure.count != 1)} in {elapsed}"
    return evaluate_figure(figure, expectation, observed, seen.elapsed_ns)


def _decide_nothing(expectation: ExpectationPlan, observed: str) -> Finding:
    """Of nothing all are short enough; whether they are long enough nobody knows."""
    if expectation.minimum is None:
        return Finding(Outcome.PASSED, observed)
    return Finding(Outcome.UNDECIDED, observed, "there is no length to compare with the bound")


def length_figure(sorted_ns: Times, statistic: str, error_ns: int) -> Figure | None:
    """A percentile, or `max`, in ms; None of nothing. Both ends of a length may be `error_ns` off.

    The longest has no interval: it says nothing of other windows.
    """
    from lab.trace.distribution import percentile

    count, error_ms = len(sorted_ns), 2 * error_ns / 1e6
    if not count:
        return None
    if statistic == "max":
        longest_ms = float(sorted_ns[-1]) / 1e6
        return Figure(longest_ms, longest_ms, longest_ms, " ms", error_ms, count)
    estimate = percentile(sorted_ns, PERCENTILES[statistic])
    assert estimate is not None, "there are lengths"
    value, low, high = (one / 1e6 for one in (estimate.value, estimate.low, estimate.high))
    return Figure(value, low, high, " ms", error_ms, count, _FEWEST[statistic])
