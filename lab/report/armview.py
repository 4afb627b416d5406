# SPDX-License-Identifier: GPL-2.0-only
"""Arms against their baseline, a table for each phase."""

from __future__ import annotations

from collections.abc import Iterator

from lab.judge.arms import ArmsReport, Metric, compare_arms
from lab.judge.armtable import (
    arms_head,
    arms_remarks,
    arms_title,
    decimals_for,
    left_out_texts,
    metric_title,
    render_change,
    render_interval,
    why_inconclusive,
)
from lab.judge.layout import MISSING
from lab.report.grids import columns, grid, present
from lab.report.material import Material
from lab.report.page import Grid

_COLUMNS = ("metric", "arm", "#mean", "#stdev", "#change", "#interval", "#N", "verdict")


def arm_grids(material: Material) -> tuple[Grid, ...]:
    """A grid for each phase; none where nothing is compared."""
    report = compare_arms(material.evidence)
    if report is None:
        return ()
    phases = dict.fromkeys(metric.phase for metric in report.metrics)
    return present(*(_phase(material, report, phase) for phase in phases))


def arm_texts(material: Material) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What stands above the tables, and what stands below them."""
    report, plan = compare_arms(material.evidence), material.plan.comparison
    if report is None or plan is None:
        return (), ()
    return tuple(arms_head(plan, material.evidence)), tuple(arms_remarks(report))


def _phase(material: Material, report: ArmsReport, phase: str) -> Grid | None:
    metrics = [metric for metric in report.metrics if metric.phase == phase]
    rows = [row for metric in metrics for row in _rows(report, metric)]
    compared = [one for metric in metrics for one in report.of(metric)]
    notes = tuple(left_out_texts(compared))
    return grid(arms_title(material.evidence, phase), columns(*_COLUMNS), rows, 2, notes)


def _rows(report: ArmsReport, metric: Metric) -> Iterator[tuple[str, ...]]:
    compared, baseline = report.of(metric), report.baselines[metric].summary()
    places = decimals_for([baseline.mean, *(one.comparison.other.mean for one in compared)])
    yield (
        metric_title(metric),
        report.baseline,
        _number(baseline.mean, places),
        _number(baseline.stdev, places),
        "",
        "",
        str(baseline.n),
        "baseline",
    )
    for one in compared:
        done = one.comparison
        why = why_inconclusive(done)
        yield (
            metric_title(metric),
            one.arm,
            _number(done.other.mean, places),
            _number(done.other.stdev, places),
            render_change(done),
            render_interval(done.interval),
            str(done.n),
            f"{done.verdict.value}: {why}" if why else done.verdict.value,
        )


def _number(value: float | None, places: int) -> str:
    return MISSING if value is None else f"{value:.{places}f}"
