# SPDX-License-Identifier: GPL-2.0-only
"""Expectations that are judged for one vCPU in one phase at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lab.judge.bounds import Finding
from lab.judge.evidence import Evidence, join_reasons
from lab.judge.verdict import Outcome, Verdict
from lab.measure.windows import VcpuWindow
from lab.plan.labplan import ExpectationPlan
from lab.units import format_seconds

#: Judges one window that nobody doubts.
Decide = Callable[[VcpuWindow], Finding]
#: Says what was seen in a window, doubted or not.
Observe = Callable[[VcpuWindow], str]

NOTHING_SEEN = "nothing"


def evaluate_per_vcpu(
    expectation: ExpectationPlan,
    evidence: Evidence,
    decide: Decide,
    observe: Observe,
    *,
    ignore_disagreement: bool = False,
) -> Iterator[Verdict]:
    """One verdict for each phase and target, phases first; UNDECIDED wherever there is a doubt."""
    for phase in expectation.phases:
        for node, vcpu in expectation.targets:
            window = evidence.vcpu(node, vcpu, phase)
            doubts = evidence.vcpu_doubts(node, vcpu, phase, ignore_disagreement=ignore_disagreement)
            found = _find(window, doubts, decide, observe)
            subject = f"{node} vcpu {vcpu}"
            yield Verdict(found.outcome, expectation.text, subject, phase, found.observed, found.reason)


def _find(window: VcpuWindow | None, doubts: tuple[str, ...], decide: Decide, observe: Observe) -> Finding:
    if window is not None and not doubts:
        return decide(window)
    seen = NOTHING_SEEN if window is None else observe(window)
    return Finding(Outcome.UNDECIDED, seen, join_reasons(doubts))


def render_side(value_pct: float | None) -> str:
    """``49.8 %``, or words where that side was not seen."""
    return "not seen" if value_pct is None else f"{value_pct:.1f} %"


def render_sides(window: VcpuWindow) -> str:
    """Both sides and the length: ``guest 49.8 %, host 50.1 % (20.0 s)``."""
    guest, host = render_side(window.guest_steal_pct), render_side(window.host_steal_pct)
    return f"guest {guest}, host {host} ({format_seconds(window.elapsed_ns)})"


def missing_sides(window: VcpuWindow) -> str:
    """Words for the sides that were not seen; empty where both were."""
    missing = [
        words
        for words, value in (
            ("the guest's steal column", window.guest_steal_pct),
            ("the run delay on the host", window.host_steal_pct),
        )
        if value is None
    ]
    verb = "was" if len(missing) == 1 else "were"
    return f"{' and '.join(missing)} {verb} not seen" if missing else ""
