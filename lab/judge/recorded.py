# SPDX-License-Identifier: GPL-2.0-only
"""What of a recording is needed to compare it with others: its metrics, and on what they were measured."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lab.judge.evidence import Evidence, join_reasons
from lab.judge.machinery import render_machinery
from lab.judge.metrics import MetricValue, collect_metrics
from lab.plan.labplan import ComparisonPlan, PhasePlan


@dataclass(frozen=True)
class RecordedWindow:
    """A counted window: a phase of the topology, in a repeat of an arm where there are arms.

    `missing` says why it has no metrics at all, where it has none; those that it has may be doubted.
    """

    phase: str
    arm: str | None
    repeat: int
    metrics: tuple[MetricValue, ...]
    missing: str = ""


@dataclass(frozen=True)
class Recorded:
    """One recording: its topology's name, VMs and pCPUs (lab.judge.machinery), where it ran, what it
    compares."""

    name: str
    lab_id: str
    machinery: str
    where: str
    comparison: ComparisonPlan | None
    windows: tuple[RecordedWindow, ...]


def collect_recorded(evidence: Evidence) -> Recorded:
    """The metrics of all windows that count; warm-up does not."""
    plan = evidence.plan
    metrics: dict[str, list[MetricValue]] = {}
    for value in collect_metrics(evidence):
        metrics.setdefault(value.phase, []).append(value)
    # What the arms did is for the recording's own report, and by far the most of it.
    comparison = None if plan.comparison is None else replace(plan.comparison, details=())
    return Recorded(
        name=plan.name,
        lab_id=plan.lab_id,
        machinery=render_machinery(plan),
        where=f"{plan.host.where}{', emulated' if plan.host.emulated else ''}",
        comparison=comparison,
        windows=tuple(
            _window(evidence, phase, tuple(metrics.get(phase.name, ())))
            for phase in plan.phases
            if phase.arm is None or phase.repeat
        ),
    )


def _window(evidence: Evidence, phase: PhasePlan, metrics: tuple[MetricValue, ...]) -> RecordedWindow:
    missing = "" if metrics else join_reasons(evidence.phase_doubts(phase.name)) or "no load was seen"
    return RecordedWindow(phase.template or phase.name, phase.arm, phase.repeat, metrics, missing)
