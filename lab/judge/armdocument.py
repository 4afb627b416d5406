# SPDX-License-Identifier: GPL-2.0-only
"""Metrics and comparisons as plain containers, for programs. Keys are stable; new ones may be added."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from lab.judge.acrossrecordings import Side
from lab.judge.arms import ArmComparison, ArmsReport
from lab.judge.metrics import MetricValue
from lab.plan.labplan import ComparisonPlan
from lab.stats.bootstrap import Interval
from lab.stats.compare import Comparison


def metric_documents(values: Iterable[MetricValue]) -> list[dict[str, Any]]:
    """One entry for each metric of each phase: phase, metric, unit, better, value, doubts[]."""
    return [{**asdict(one), "doubts": list(one.doubts)} for one in values]


def arms_document(report: ArmsReport, plan: ComparisonPlan) -> dict[str, Any]:
    """What was compared in which order of repeats, and `report_document`."""
    return {
        "arms": list(plan.arms),
        "repeats": plan.count,
        "warmup": plan.warmup,
        "order": plan.order,
        **report_document(report),
    }


def report_document(report: ArmsReport) -> dict[str, Any]:
    """By which rule, and every comparison; those of A/A have `aa`: true."""
    return {
        "baseline": report.baseline,
        "aa_arm": report.aa_arm,
        "seed": report.rule.seed,
        "smallest_change_pct": report.rule.smallest_change_pct,
        "confidence_pct": report.rule.confidence_pct,
        "comparisons": [
            *(_arm(one, aa=False) for one in report.comparisons),
            *(_arm(one, aa=True) for one in report.aa),
        ],
    }


def _arm(one: ArmComparison, *, aa: bool) -> dict[str, Any]:
    return {
        "phase": one.metric.phase,
        "metric": one.metric.name,
        "unit": one.metric.unit,
        "arm": one.arm,
        "aa": aa,
        **comparison_document(one.comparison),
        "left_out": [str(left_out) for left_out in one.left_out],
    }


def comparison_document(done: Comparison) -> dict[str, Any]:
    """Keys are the fields of lab.stats.compare.Comparison; `change` and the intervals [low, high] are in
    `scale`."""
    return {
        "better": done.better,
        "verdict": done.verdict.value,
        "scale": done.scale,
        "change": done.change,
        "interval": _interval(done.interval),
        "narrow_interval": _interval(done.narrow_interval),
        "n": done.n,
        "paired": done.paired,
        "baseline": asdict(done.baseline),
        "other": asdict(done.other),
        "p": done.p,
        "p_adjusted": done.p_adjusted,
        "p_same": done.p_same,
        "rank_test": done.rank_test,
        "rank_p": done.rank_p,
        "hedges_g": done.hedges_g,
        "cliffs_delta": done.cliffs_delta,
        "more_repeats": done.more_repeats,
        "reason": done.reason,
    }


def _interval(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def compared_document(report: ArmsReport, sides: Sequence[Side]) -> dict[str, Any]:
    """`report_document`, and which recordings each side has, with all of their values."""
    return {
        "sides": [
            {
                "name": side.name,
                "recordings": [
                    {
                        "recording": label,
                        "name": one.name,
                        "lab_id": one.lab_id,
                        "machinery": one.machinery,
                        "where": one.where,
                        "windows": [
                            {
                                "phase": window.phase,
                                "arm": window.arm,
                                "repeat": window.repeat,
                                "missing": window.missing,
                                "metrics": metric_documents(window.metrics),
                            }
                            for window in one.windows
                        ],
                    }
                    for label, one in side.recordings
                ],
            }
            for side in sides
        ],
        **report_document(report),
    }
