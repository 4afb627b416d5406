# SPDX-License-Identifier: GPL-2.0-only
"""What loads reported in a phase, as a table: each guest's figures, and what they make together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from statistics import fmean
from typing import Any

from lab.judge.evidence import Evidence
from lab.judge.layout import Column, Table, fit, heading, row, wrap
from lab.measure.loadresults import start_skew_ns
from lab.measure.windows import LoadResult
from lab.plan.labplan import LoadMetricPlan
from lab.units import format_seconds

_NAME_WIDTHS = (4, 15)


def render_load_results(evidence: Evidence, phase: str) -> list[str]:
    """A line for each load, metric and node, one for all nodes, and how far apart they began; empty without any."""
    results = evidence.load_results(phase)
    if not results:
        return []
    columns = _columns(evidence, results)
    lines = ["", heading(columns)]
    for load in dict.fromkeys(one.load for one in results):
        lines += [row(cells, columns) for cells in _rows(evidence, load, results)]
        lines += wrap(_remark(load, results), 2, 4)
    return lines


def load_result_table(evidence: Evidence, phase: str) -> Table:
    """The same as a table; without rows where no load reported anything."""
    results = evidence.load_results(phase)
    loads = dict.fromkeys(one.load for one in results)
    return Table(
        _columns(evidence, results), [cells for load in loads for cells in _rows(evidence, load, results)]
    )


def load_remarks(evidence: Evidence, phase: str) -> Iterator[str]:
    """How long each load ran, and how far apart its guests began."""
    results = evidence.load_results(phase)
    yield from (_remark(load, results) for load in dict.fromkeys(one.load for one in results))


def _rows(evidence: Evidence, load: str, results: Sequence[LoadResult]) -> Iterator[list[str | float | None]]:
    of_load = [one for one in results if one.load == load]
    for metric in _metrics(evidence, load):
        yield from _cells(load, metric, of_load)


def _columns(evidence: Evidence, results: Sequence[LoadResult]) -> list[Column]:
    metrics = [one for load in evidence.plan.loads for one in load.metrics]
    return [
        Column("load", fit([one.load for one in results], *_NAME_WIDTHS), text=True),
        Column("node", fit([one.node for one in results], *_NAME_WIDTHS), text=True),
        Column("metric", fit([one.name for one in metrics], 6, 15), text=True),
        Column("value", 12),
        Column("unit", fit([one.unit for one in metrics], 4, 12), text=True),
    ]


def _metrics(evidence: Evidence, load: str) -> tuple[LoadMetricPlan, ...]:
    return next((one.metrics for one in evidence.plan.loads if one.name == load), ())


def _cells(
    load: str, metric: LoadMetricPlan, results: Sequence[LoadResult]
) -> Iterator[list[str | float | None]]:
    seen = [(one.node, dict(one.values).get(metric.name)) for one in results]
    for node, value in seen:
        yield [load, node, metric.name, value, metric.unit]
    values = [value for _, value in seen if value is not None]
    if len(values) > 1:
        yield [load, metric.over_guests, metric.name, _together(metric, values), metric.unit]


def _together(metric: LoadMetricPlan, values: Sequence[float]) -> float:
    if metric.over_guests == "sum":
        return sum(values)
    return max(values) if metric.over_guests == "max" else fmean(values)


def _remark(load: str, results: Sequence[LoadResult]) -> str:
    of_load = [one for one in results if one.load == load]
    skew_ns = start_skew_ns(of_load)
    lengths = [format_seconds(one.end_ns - one.begin_ns) for one in of_load]
    ran = f"ran for {', '.join(dict.fromkeys(lengths))}"
    return f"{load} {ran}" + (f", begun within {skew_ns / 1e6:.1f} ms" if skew_ns is not None else "")


def load_documents(results: Sequence[LoadResult]) -> list[dict[str, Any]]:
    """The results as plain containers; `values` by metric, in the units of the plan's loads."""
    return [{**asdict(one), "values": dict(one.values), "doubts": list(one.doubts)} for one in results]


def render_load_doubts(evidence: Evidence, phase: str) -> Iterator[str]:
    """Doubts about what loads reported."""
    for one in evidence.load_results(phase):
        yield from (f"{one.load} on {one.node}: {doubt}" for doubt in one.doubts)
