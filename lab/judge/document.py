# SPDX-License-Identifier: GPL-2.0-only
"""What was measured and judged, as a document for programs. Keys are stable; new ones may be added."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from lab.judge.armdocument import arms_document, metric_documents
from lab.judge.arms import compare_arms
from lab.judge.evidence import Evidence
from lab.judge.findings import finding_document
from lab.judge.folds import Fold, FoldLoad, find_folds
from lab.judge.hogtable import hog_document, schedule_document
from lab.judge.loadtable import load_documents
from lab.judge.metrics import collect_metrics
from lab.judge.preemptions import COUNTERS, per_second
from lab.judge.prooftable import proof_document
from lab.judge.throughput import work_per_s
from lab.judge.verdict import Judgement, Verdict
from lab.measure.windows import (
    GovernDecision,
    Measurements,
    PhaseWindow,
    TaskAffinity,
    TaskWindow,
    VcpuWindow,
)
from lab.plan.labplan import LabPlan

#: Version of the document; it grows when a key changes its meaning or goes away.
FORMAT = 1


def judgement_json(plan: LabPlan, measurements: Measurements, judgement: Judgement) -> dict[str, Any]:
    """Plain containers, ready for `json.dumps`.

    Keys: format, name, lab_id, outcome, verdicts[], phases[], proofs[], vcpus[], loads[], load_results[],
    affinities[], decisions[], file_changes[], foldings[], hogs[], schedules[], metrics[], comparison, clocks[],
    retries[], findings[]. Units stand in the keys: `_ns`, `_pct` (of elapsed time), `_per_s`. What was not seen is
    None, and so is the comparison where there are no arms.
    """
    evidence = Evidence(plan, measurements)
    return {
        "format": FORMAT,
        "name": plan.name,
        "lab_id": plan.lab_id,
        "outcome": judgement.outcome.value,
        "verdicts": [_verdict(verdict) for verdict in judgement.verdicts],
        "phases": [_phase(window) for window in measurements.phases],
        "proofs": [proof_document(proof) for proof in measurements.proofs],
        "vcpus": list(_vcpus(evidence)),
        "loads": list(_loads(plan, measurements)),
        "load_results": load_documents(measurements.load_results),
        "affinities": [_affinity(task) for task in measurements.affinities],
        "decisions": [_govern_decision(one) for one in measurements.decisions],
        "file_changes": [asdict(one) for one in measurements.file_changes],
        "foldings": [_fold(fold) for fold in find_folds(evidence)],
        "hogs": [hog_document(hog) for hog in measurements.hogs],
        "schedules": [schedule_document(schedule) for schedule in measurements.schedules],
        "metrics": metric_documents(collect_metrics(evidence)),
        "comparison": _comparison(evidence),
        "clocks": [
            {"node": match.node, "offset_ns": match.offset_ns, "error_ns": match.error_ns}
            for match in measurements.clocks
        ],
        "retries": list(measurements.retries),
        "findings": [finding_document(one, plan) for one in measurements.findings],
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    return {
        "outcome": verdict.outcome.value,
        "expectation": verdict.expectation,
        "subject": verdict.subject,
        "phase": verdict.phase or None,
        "observed": verdict.observed,
        "reason": verdict.reason,
    }


def _comparison(evidence: Evidence) -> dict[str, Any] | None:
    report, plan = compare_arms(evidence), evidence.plan.comparison
    return None if report is None or plan is None else arms_document(report, plan)


def _phase(window: PhaseWindow) -> dict[str, Any]:
    return {
        "phase": window.phase,
        "start_ns": window.start_ns,
        "end_ns": window.end_ns,
        "doubts": list(window.doubts),
        "work_doubts": list(window.work_doubts),
        "skipped": list(window.skipped),
    }


def _vcpus(evidence: Evidence) -> Iterator[dict[str, Any]]:
    planned = {(node.name, vcpu.vcpu): vcpu for node in evidence.plan.nodes for vcpu in node.vcpus}
    for window in evidence.measurements.vcpus:
        vcpu = planned.get((window.node, window.vcpu))
        yield {
            "node": window.node,
            "vcpu": window.vcpu,
            "phase": window.phase,
            "pcpus": list(vcpu.pcpus) if vcpu else None,
            "predicted_steal_pct": evidence.predicted_steal(window.phase).get((window.node, window.vcpu)),
            **_steal(window),
            "voluntary_switches": window.voluntary_switches,
            **_counters(window),
            "doubts": list(window.doubts),
        }


def _steal(window: VcpuWindow) -> dict[str, Any]:
    return {
        "elapsed_ns": window.elapsed_ns,
        "guest_steal_ns": window.guest_steal_ns,
        "host_delay_ns": window.host_delay_ns,
        "host_run_ns": window.host_run_ns,
        "guest_steal_pct": window.guest_steal_pct,
        "host_steal_pct": window.host_steal_pct,
        "disagreement_pct": window.disagreement_pct,
    }


def _counters(window: VcpuWindow) -> dict[str, Any]:
    counts = {name: read(window) for name, read in COUNTERS.items()}
    rates = {f"{name}_per_s": per_second(count, window.elapsed_ns) for name, count in counts.items()}
    return {**counts, **rates}


def _loads(plan: LabPlan, measurements: Measurements) -> Iterator[dict[str, Any]]:
    """One entry for each load and phase in which any of its tasks was seen."""
    evidence = Evidence(plan, measurements)
    for load, phase in dict.fromkeys((task.load, task.phase) for task in measurements.tasks):
        tasks = evidence.tasks(load, phase)
        yield {
            "load": load,
            "phase": phase,
            "work_per_s": work_per_s(tasks),
            "nodes": [
                {"node": node, "work_per_s": work_per_s(task for task in tasks if task.node == node)}
                for node in dict.fromkeys(task.node for task in tasks)
            ],
            "tasks": [_task(task) for task in tasks],
        }


def _task(task: TaskWindow) -> dict[str, Any]:
    return {
        "node": task.node,
        "task": task.task,
        "elapsed_ns": task.elapsed_ns,
        "work": task.work,
        "work_per_s": work_per_s([task]),
        "seen_on_vcpus": list(task.seen_on),
        "affinities": list(task.affinities),
    }


def _affinity(task: TaskAffinity) -> dict[str, Any]:
    return {
        "load": task.load,
        "node": task.node,
        "task": task.task,
        "affinities": list(task.affinities),
    }


def _govern_decision(one: GovernDecision) -> dict[str, Any]:
    return {**asdict(one), "before": list(one.before), "after": list(one.after)}


def _fold(fold: Fold) -> dict[str, Any]:
    return {
        "phase": fold.phase,
        "by": fold.mechanism,
        "baseline": fold.baseline,
        "effect_ns": fold.effect_ns,
        "guest_steal_pct": fold.guest_steal_pct,
        "host_steal_pct": fold.host_steal_pct,
        "nodes": [
            {
                "node": one.node,
                "vcpus": list(one.vcpus),
                "unfolded_in": one.unfolded,
                "begin_ns": one.begin_ns,
                "observed_ns": one.observed_ns,
                "effect_ns": one.effect_ns,
                "error_ns": one.error_ns,
                "doubts": list(one.doubts),
            }
            for one in fold.foldings
        ],
        "loads": [_fold_load(load) for load in fold.loads],
        "doubts": list(fold.doubts),
    }


def _fold_load(load: FoldLoad) -> dict[str, Any]:
    return {
        "load": load.load,
        "work_per_s": load.work_per_s,
        "ratio": load.ratio,
        "work_doubts": list(load.work_doubts),
        "tasks": load.tasks,
        "affinity_kept": load.changed == 0,
        "affinity_kept_after": load.changed_after == 0 if load.tasks_after else None,
    }
