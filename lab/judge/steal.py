# SPDX-License-Identifier: GPL-2.0-only
"""Steal, judged on both sides of the VM boundary.

The guest's steal column and the run-queue delay of the vCPU's thread describe one quantity, so an
expectation is met only if both meet it, and violated only if both violate it in the same direction. If one
is inside and the other outside although they agree within the tolerance, the value lies on the bound and
the measurement cannot tell.
"""

from __future__ import annotations

from collections.abc import Iterator

from lab.judge.bounds import Finding, Place, evaluate_place, render_bound
from lab.judge.evidence import Evidence
from lab.judge.pervcpu import evaluate_per_vcpu, missing_sides, render_sides
from lab.judge.verdict import Outcome, Verdict
from lab.measure.windows import DISAGREEMENT_PREFIX, VcpuWindow
from lab.plan.labplan import ExpectationPlan


def evaluate_steal(expectation: ExpectationPlan, evidence: Evidence) -> Iterator[Verdict]:
    """One verdict for each phase and vCPU; bounds in per cent of elapsed time."""
    tolerance_pct = evidence.plan.measure.disagreement_pct

    def decide(window: VcpuWindow) -> Finding:
        return _decide(window, expectation, tolerance_pct)

    return evaluate_per_vcpu(expectation, evidence, decide, render_sides)


def _decide(window: VcpuWindow, expectation: ExpectationPlan, tolerance_pct: float) -> Finding:
    guest, host = window.guest_steal_pct, window.host_steal_pct
    observed = render_sides(window)
    if guest is None or host is None:
        return Finding(Outcome.UNDECIDED, observed, missing_sides(window))
    if abs(guest - host) > tolerance_pct:
        reason = f"{DISAGREEMENT_PREFIX}: {guest:.2f} % and {host:.2f} %, more than {tolerance_pct:g} % apart"
        return Finding(Outcome.UNDECIDED, observed, reason)
    return _decide_agreed(guest, host, expectation, observed)


def _decide_agreed(guest: float, host: float, expectation: ExpectationPlan, observed: str) -> Finding:
    places = {evaluate_place(guest, expectation), evaluate_place(host, expectation)}
    if places == {Place.WITHIN}:
        return Finding(Outcome.PASSED, observed)
    sides = f"guest {guest:.2f} % and host {host:.2f} %"
    if len(places) == 1:
        bound = render_bound(places.pop(), expectation, " %")
        return Finding(Outcome.FAILED, observed, f"{sides}: both {bound}")
    return Finding(Outcome.UNDECIDED, observed, f"on the bound: {sides} lie on different sides of it")
