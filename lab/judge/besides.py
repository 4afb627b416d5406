# SPDX-License-Identifier: GPL-2.0-only
"""Figures of one recording beside those of runs of the same scenario elsewhere, as numbers and as plain text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from lab.judge.evidence import Evidence
from lab.judge.layout import Column, Table, fit, wrap
from lab.judge.metrics import MetricValue, collect_metrics
from lab.stats.bootstrap import Interval
from lab.stats.prediction import predict_next

#: What the columns mean.
BESIDES_LEGEND = (
    "reporter: as recorded in the bundle; here: mean of your runs; change: of here against the reporter, in points "
    "(pt) where the unit is %"
)
SCATTER_LEGEND = (
    "next run: where one more run of yours would lie (95 %, by t); !: the reporter's is not there; ?: doubted in "
    "one of the runs"
)
DOUBT_LEGEND = "?: doubted, on either side"
ONE_RUN = (
    "One run on each side is no statistics: what differs here may be chance. `--repeats 5` shows how much your "
    "runs scatter."
)


@dataclass(frozen=True)
class Figure:
    """One number of a phase on both sides: `here` has one value for each run in which it was seen."""

    phase: str
    what: str
    unit: str
    there: float | None
    here: tuple[float, ...]
    doubted: bool = False

    @property
    def mean(self) -> float | None:
        """The mean of all runs here."""
        return fmean(self.here) if self.here else None

    @property
    def change(self) -> float | None:
        """Of here against the reporter: points where the unit is %, else per cent."""
        if self.there is None or self.mean is None:
            return None
        if self.unit == "%":
            return self.mean - self.there
        return 100 * (self.mean / self.there - 1) if self.there else None

    @property
    def next_run(self) -> Interval | None:
        """Where one more run here would lie."""
        return predict_next(self.here)

    @property
    def is_outside(self) -> bool:
        """Whether the reporter's value is not where one more run here would lie."""
        interval = self.next_run
        return (
            interval is not None
            and self.there is not None
            and not interval.low <= self.there <= interval.high
        )


def collect_figures(there: Evidence, here: Sequence[Evidence]) -> tuple[Figure, ...]:
    """Steal of every vCPU and every metric of every phase of the reporter's plan, in its order."""
    runs = [_numbers(one) for one in here]
    return tuple(
        Figure(
            *key,
            there=value,
            here=tuple(run[key][0] for run in runs if key in run),
            doubted=doubted or any(run[key][1] for run in runs if key in run),
        )
        for key, (value, doubted) in _numbers(there).items()
    )


_Numbers = dict[tuple[str, str, str], tuple[float, bool]]


def _numbers(evidence: Evidence) -> _Numbers:
    """(value, whether doubted) by phase, what and unit."""
    metrics: dict[str, list[MetricValue]] = {}
    for value in collect_metrics(evidence):
        metrics.setdefault(value.phase, []).append(value)
    found: _Numbers = {}
    for phase in evidence.plan.phases:
        found.update(_steals(evidence, phase.name))
        for one in metrics.get(phase.name, ()):
            found[phase.name, one.metric, one.unit] = one.value, bool(one.doubts)
    return found


def _steals(evidence: Evidence, phase: str) -> Iterator[tuple[tuple[str, str, str], tuple[float, bool]]]:
    for node in evidence.plan.nodes:
        for planned in node.vcpus:
            window = evidence.vcpu(node.name, planned.vcpu, phase)
            if window is None:
                continue
            doubted = bool(evidence.vcpu_doubts(node.name, planned.vcpu, phase))
            for side, value in (("guest", window.guest_steal_pct), ("host", window.host_steal_pct)):
                if value is not None:
                    yield (phase, f"steal {node.name} vcpu {planned.vcpu}, {side}", "%"), (value, doubted)


def render_besides(figures: Sequence[Figure], runs: int) -> str:
    """A table of each phase, and what its columns mean. ASCII, ends in a newline; empty without figures."""
    if not figures:
        return ""
    scatter = any(one.next_run for one in figures)
    lines: list[str] = []
    for phase in dict.fromkeys(one.phase for one in figures):
        table = figures_table([one for one in figures if one.phase == phase], scatter)
        lines += [*wrap(f"Phase {phase}"), *table.lines(), ""]
    lines += wrap(f"{BESIDES_LEGEND}; {SCATTER_LEGEND if scatter else DOUBT_LEGEND}")
    if runs == 1:
        lines += wrap(ONE_RUN)
    return "\n".join(lines) + "\n"


def figures_table(figures: Sequence[Figure], scatter: bool) -> Table:
    """One phase; `scatter` with where one more run would lie."""
    columns = [
        Column("", fit([_name(one) for one in figures], 8, 29 if scatter else 38), text=True),
        Column("reporter", 9),
        Column("here", 9),
        Column("change", 9),
    ]
    if not scatter:
        return Table(columns, [_cells(one) for one in figures])
    return Table([*columns, Column("next run", 14)], [[*_cells(one), _scatter(one)] for one in figures])


def _name(figure: Figure) -> str:
    return f"{figure.what}, {figure.unit}" if figure.unit else figure.what


def _cells(figure: Figure) -> list[str | float | None]:
    small = figure.unit == "" and (figure.there or 0) < 10
    values = [
        None if value is None else f"{value:.3f}" if small else value for value in (figure.there, figure.mean)
    ]
    return [_name(figure), *values, _change(figure)]


def _change(figure: Figure) -> str | None:
    if figure.change is None:
        return None
    return f"{figure.change:+.1f}{' pt' if figure.unit == '%' else '%'}{'?' if figure.doubted else ''}"


def _scatter(figure: Figure) -> str | None:
    interval = figure.next_run
    if interval is None:
        return None
    decimals = 3 if figure.unit == "" and interval.high < 10 else 1 if interval.high < 1000 else 0
    mark = "!" if figure.is_outside else ""
    return f"{interval.low:.{decimals}f}..{interval.high:.{decimals}f}{mark}"
