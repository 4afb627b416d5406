# SPDX-License-Identifier: GPL-2.0-only
"""What a report is made of: a recording as it was read, measured and judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lab.judge.evidence import Evidence
from lab.judge.verdict import Judgement
from lab.measure.course import VcpuCourse
from lab.measure.happened import EventLike
from lab.measure.windows import Measurements
from lab.plan.labplan import LabPlan
from lab.report.console import Console

#: More windows than this are not told one by one.
MOST_PHASES = 24


@dataclass(frozen=True)
class Material:
    """`about` is recording.json, `events` what the lab did; `courses` is steal over time (lab.measure.course)."""

    plan: LabPlan
    measurements: Measurements
    judgement: Judgement
    about: Mapping[str, Any]
    topology_text: str
    events: Sequence[EventLike]
    courses: tuple[VcpuCourse, ...] = ()
    consoles: tuple[Console, ...] = ()

    @cached_property
    def evidence(self) -> Evidence:
        """The measurements, indexed."""
        return Evidence(self.plan, self.measurements)

    @property
    def many(self) -> bool:
        """Whether windows are too many, or are repeats, and are told together."""
        return self.plan.comparison is not None or len(self.plan.phases) > MOST_PHASES

    @cached_property
    def zero_ns(self) -> int:
        """When the report's time begins: at the changes before the first window, or with the first event."""
        begins = [int(one.data.get("begin_ns", one.data.get("start_ns", one.t_ns))) for one in self.phases]
        return min(begins, default=min((one.t_ns for one in self.events if one.t_ns), default=0))

    @property
    def phases(self) -> list[EventLike]:
        """The events of measured windows."""
        return [one for one in self.events if one.kind == "phase"]

    def at_s(self, t_ns: int) -> float:
        """A time of the host's clock in seconds of the report's time."""
        return (t_ns - self.zero_ns) / 1e9


def chart_limits_ns(events: Sequence[EventLike]) -> tuple[int, int]:
    """From when to when steal is drawn: all windows with a margin, or all that happened; (0, 0) for nothing."""
    phases = [one for one in events if one.kind == "phase"]
    if phases:
        low = min(int(one.data.get("begin_ns", one.data.get("start_ns", one.t_ns))) for one in phases)
        high = max(int(one.data.get("end_ns", one.t_ns)) for one in phases)
        margin = (high - low) // 50
        return low - margin, high + margin
    times = [one.t_ns for one in events if one.t_ns]
    return (min(times), max(times)) if times else (0, 0)
