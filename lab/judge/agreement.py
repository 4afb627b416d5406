# SPDX-License-Identifier: GPL-2.0-only
"""How well guest steal and host run delay agree."""

from __future__ import annotations

from collections.abc import Iterator

from lab.judge.bounds import Finding, evaluate_value
from lab.judge.evidence import Evidence
from lab.judge.pervcpu import evaluate_per_vcpu, missing_sides, render_side, render_sides
from lab.judge.verdict import Outcome, Verdict
from lab.measure.windows import VcpuWindow
from lab.plan.labplan import ExpectationPlan


def evaluate_agreement(expectation: ExpectationPlan, evidence: Evidence) -> Iterator[Verdict]:
    """One verdict for each phase and vCPU; bounds in per cent of the window.

    Here a doubt that only says that the sides disagree is not a doubt: it is the thing judged.
    """

    def decide(window: VcpuWindow) -> Finding:
        return _decide(window, expectation)

    return evaluate_per_vcpu(expectation, evidence, decide, _observe, ignore_disagreement=True)


def _observe(window: VcpuWindow) -> str:
    difference = window.disagreement_pct
    if difference is None:
        return render_sides(window)
    guest, host = render_side(window.guest_steal_pct), render_side(window.host_steal_pct)
    return f"{difference:.2f} % apart (guest {guest}, host {host})"


def _decide(window: VcpuWindow, expectation: ExpectationPlan) -> Finding:
    if window.disagreement_pct is None:
        return Finding(Outcome.UNDECIDED, _observe(window), missing_sides(window))
    return evaluate_value(window.disagreement_pct, expectation, _observe(window), " %")
