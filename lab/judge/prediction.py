# SPDX-License-Identifier: GPL-2.0-only
"""Seen steal against what was predicted of the phase (lab.plan.predicting)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lab.judge.bounds import Finding
from lab.judge.evidence import Evidence
from lab.judge.pervcpu import evaluate_per_vcpu, missing_sides, render_sides
from lab.judge.verdict import Outcome, Verdict
from lab.measure.windows import VcpuWindow
from lab.plan.labplan import ExpectationPlan


def evaluate_prediction(expectation: ExpectationPlan, evidence: Evidence) -> Iterator[Verdict]:
    """One verdict for each phase and vCPU that was to be busy in it; the bound is in per cent of elapsed time.

    Both sides have to be as near, as both are measurements of the same. SKIPPED where nothing is predicted.
    """
    for phase in expectation.phases:
        predicted = evidence.predicted_steal(phase)
        if not predicted:
            reason = "a governor decides which vCPUs are used"
            yield Verdict(Outcome.SKIPPED, expectation.text, "every vCPU", phase, "nothing predicted", reason)
            continue
        busy = tuple(target for target in expectation.targets if predicted.get(target) is not None)
        of_phase = replace(expectation, phases=(phase,), targets=busy)

        def decide(window: VcpuWindow, predicted: dict[tuple[str, int], float | None] = predicted) -> Finding:
            return _decide(window, predicted[window.node, window.vcpu] or 0.0, expectation.maximum or 0.0)

        yield from evaluate_per_vcpu(of_phase, evidence, decide, render_sides)


def _decide(window: VcpuWindow, predicted_pct: float, bound_pct: float) -> Finding:
    observed = f"predicted {predicted_pct:.1f} %, {render_sides(window)}"
    guest, host = window.guest_steal_pct, window.host_steal_pct
    if guest is None or host is None:
        return Finding(Outcome.UNDECIDED, observed, missing_sides(window))
    apart = [abs(seen - predicted_pct) for seen in (guest, host)]
    far = [distance > bound_pct for distance in apart]
    if not any(far):
        return Finding(Outcome.PASSED, observed)
    sides = f"guest {apart[0]:.2f} % and host {apart[1]:.2f} % apart from what was predicted"
    if all(far):
        return Finding(Outcome.FAILED, observed, f"{sides}: both more than {bound_pct:g} %")
    return Finding(Outcome.UNDECIDED, observed, f"on the bound: {sides} lie on different sides of it")
