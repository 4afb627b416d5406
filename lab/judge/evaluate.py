# SPDX-License-Identifier: GPL-2.0-only
"""Measurements against a plan's expectations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from lab.judge.affinity import evaluate_affinity
from lab.judge.agreement import evaluate_agreement
from lab.judge.compared import evaluate_compare
from lab.judge.evidence import Evidence, join_reasons
from lab.judge.findings import evaluate_findings
from lab.judge.foldeffect import evaluate_fold_effect
from lab.judge.governor import evaluate_decisions, evaluate_governor
from lab.judge.holders import evaluate_preempted_while
from lab.judge.hostshare import evaluate_host_share
from lab.judge.overrepeats import judge_repeats
from lab.judge.physicscheck import evaluate_physics
from lab.judge.prediction import evaluate_prediction
from lab.judge.preempted import evaluate_preempted, evaluate_preempted_by, evaluate_wakeup_latency
from lab.judge.preemptions import evaluate_preemptions
from lab.judge.reported import evaluate_reported
from lab.judge.runfairness import evaluate_fairness
from lab.judge.selftests import evaluate_selftests
from lab.judge.steal import evaluate_steal
from lab.judge.throughput import evaluate_throughput
from lab.judge.verdict import Judgement, Outcome, Verdict
from lab.judge.yields import evaluate_directed_yield
from lab.measure.windows import Measurements
from lab.plan.labplan import ExpectationKind, ExpectationPlan, LabPlan

_JUDGES: dict[ExpectationKind, Callable[[ExpectationPlan, Evidence], Iterator[Verdict]]] = {
    "steal": evaluate_steal,
    "agreement": evaluate_agreement,
    "throughput": evaluate_throughput,
    "reported": evaluate_reported,
    "selftests": evaluate_selftests,
    "affinity_unchanged": evaluate_affinity,
    "affinity_changed": evaluate_affinity,
    "fold_effect": evaluate_fold_effect,
    "host_share": evaluate_host_share,
    "preemptions": evaluate_preemptions,
    "governor": evaluate_governor,
    "decisions_match": evaluate_decisions,
    "prediction": evaluate_prediction,
    "compare": evaluate_compare,
    "preempted": evaluate_preempted,
    "wakeup_latency": evaluate_wakeup_latency,
    "preempted_while": evaluate_preempted_while,
    "preempted_by": evaluate_preempted_by,
    "directed_yield": evaluate_directed_yield,
    "fairness": evaluate_fairness,
    "physics": evaluate_physics,
}


def judge(plan: LabPlan, measurements: Measurements) -> Judgement:
    """All verdicts: expectations in the plan's order; within one, phases in order, then targets in order.

    Of an expectation about arms there is one for each arm and target, over all repeats (lab.judge.overrepeats).
    What kernels reported on consoles comes last (lab.judge.findings), and is judged without being expected.
    Pure, and never an error on missing data: what was not measured is UNDECIDED and says so.
    """
    evidence = Evidence(plan, measurements)

    def judge_one(expectation: ExpectationPlan) -> Iterator[Verdict]:
        for verdict in _JUDGES[expectation.kind](expectation, evidence):
            yield _skip(verdict, expectation, evidence)

    expected = (verdict for one in plan.expectations for verdict in judge_repeats(one, plan, judge_one))
    return Judgement((*expected, *evaluate_findings(plan, measurements.findings)))


def _skip(verdict: Verdict, expectation: ExpectationPlan, evidence: Evidence) -> Verdict:
    """`verdict`, or SKIPPED where a phase that it is about lacks an optional knob."""
    phases = expectation.phases if expectation.kind in ("throughput", "reported") else (verdict.phase,)
    reason = join_reasons(reason for phase in phases for reason in evidence.skipped(phase))
    return replace(verdict, outcome=Outcome.SKIPPED, reason=reason) if reason else verdict
