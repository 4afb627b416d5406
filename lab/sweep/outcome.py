# SPDX-License-Identifier: GPL-2.0-only
"""What came of the runs of a sweep, and which of its numbers are meant by a metric's name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from lab.errors import InputError
from lab.judge.metrics import MetricValue
from lab.plan.labplan import LabPlan
from lab.stats.compare import Better
from lab.sweep.spec import Value

Status = Literal["running", "finished", "failed", "interrupted"]


@dataclass(frozen=True)
class MetricRow:
    """One metric of one window that counts. `phase` is the topology's; `arm` is None, and `arm_repeat` 0, where the
    topology has no arms. With `doubts` the value must not count."""

    phase: str
    arm: str | None
    arm_repeat: int
    metric: str
    unit: str
    better: Better
    value: float
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunOutcome:
    """One run of a point of the grid. `exit_code` is that of `lab run`; None where it did not end. `reason` is why
    it failed."""

    key: str
    repeat: int
    parameters: Mapping[str, Value]
    digest: str
    status: Status
    exit_code: int | None = None
    seconds: float | None = None
    recording: str = ""
    reason: str = ""
    metrics: tuple[MetricRow, ...] = ()


def metric_rows(plan: LabPlan, values: Sequence[MetricValue]) -> tuple[MetricRow, ...]:
    """`values` of a recording, without those of warm-up."""
    phases = {phase.name: phase for phase in plan.phases}
    rows = []
    for one in values:
        phase = phases[one.phase]
        if phase.arm is not None and phase.repeat == 0:
            continue
        name = phase.template or phase.name
        rows.append(
            MetricRow(
                name, phase.arm, phase.repeat, one.metric, one.unit, one.better, one.value, tuple(one.doubts)
            )
        )
    return tuple(rows)


@dataclass(frozen=True)
class Sought:
    """A metric by its name, and where: ``METRIC``, ``PHASE:METRIC`` or ``PHASE.ARM:METRIC``."""

    metric: str
    phase: str | None = None
    arm: str | None = None

    @property
    def text(self) -> str:
        """As it is written."""
        where = ".".join(part for part in (self.phase, self.arm) if part is not None)
        return f"{where}:{self.metric}" if where else self.metric

    def means(self, row: MetricRow) -> bool:
        """Whether this is it."""
        return (
            row.metric == self.metric
            and self.phase in (None, row.phase)
            and (self.arm is None or self.arm == row.arm)
        )


def parse_sought(text: str) -> Sought:
    """What `text` names."""
    where, colon, metric = text.rpartition(":")
    if not colon:
        return Sought(text)
    phase, dot, arm = where.partition(".")
    return Sought(metric, phase, arm if dot else None)


@dataclass(frozen=True)
class PointValues:
    """All values of one metric at one point, in the order of runs and repeats; `doubted` were left out."""

    parameters: Mapping[str, Value]
    values: tuple[float, ...]
    doubted: int


@dataclass(frozen=True)
class Measured:
    """One metric over the grid, by point's key; `unit` and `better` are the metric's."""

    sought: Sought
    unit: str
    better: Better
    points: Mapping[str, PointValues]


def select_metric(outcomes: Sequence[RunOutcome], sought: Sought) -> Measured:
    """The values of `sought` at every point. Raises InputError where there is none, or more than one is meant."""
    found = [row for one in outcomes for row in one.metrics if sought.means(row)]
    places = list(dict.fromkeys((row.phase, row.arm) for row in found))
    if not found:
        known = dict.fromkeys(Sought(x.metric, x.phase, x.arm).text for one in outcomes for x in one.metrics)
        raise InputError(f"no run has the metric {sought.text!r}; there is {', '.join(known) or 'none'}")
    if len(places) > 1:
        choices = ", ".join(Sought(sought.metric, phase, arm).text for phase, arm in places)
        raise InputError(f"{sought.text!r} was measured in several places; say in which: {choices}")
    points = {key: _values(of_key, sought) for key, of_key in _by_key(outcomes).items()}
    return Measured(Sought(sought.metric, *places[0]), found[0].unit, found[0].better, points)


def _by_key(outcomes: Sequence[RunOutcome]) -> dict[str, list[RunOutcome]]:
    groups: dict[str, list[RunOutcome]] = {}
    for one in outcomes:
        groups.setdefault(one.key, []).append(one)
    return groups


def _values(outcomes: Sequence[RunOutcome], sought: Sought) -> PointValues:
    rows = [row for one in outcomes for row in one.metrics if sought.means(row)]
    sound = tuple(row.value for row in rows if not row.doubts)
    return PointValues(outcomes[0].parameters, sound, len(rows) - len(sound))
