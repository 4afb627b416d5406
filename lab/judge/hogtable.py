# SPDX-License-Identifier: GPL-2.0-only
"""What hogs ran in a phase, and how well its schedule was kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from lab.judge.evidence import Evidence
from lab.judge.layout import wrap
from lab.measure.windows import HogWindow, ScheduleWindow


def render_hogs(evidence: Evidence, phase: str) -> list[str]:
    """A line for each hog, and one for the schedule; empty where there was neither."""
    return [line for text in _statements(evidence, phase) for line in wrap(text, 2, 4)]


def _statements(evidence: Evidence, phase: str) -> Iterator[str]:
    found = [one for one in evidence.measurements.hogs if one.phase == phase]
    for hog in dict.fromkeys(one.hog for one in found):
        ran = ", ".join(f"{one.run_pct:.1f} % of pCPU {one.pcpu}" for one in found if one.hog == hog)
        yield f"hog {hog} ran {ran}"
    for schedule in evidence.measurements.schedules:
        if schedule.phase == phase:
            count = len(schedule.moments)
            moments = "1 moment" if count == 1 else f"{count} moments"
            yield f"schedule: {moments}, at most {schedule.latest_done_ns / 1e6:.0f} ms late"


def hog_document(hog: HogWindow) -> dict[str, Any]:
    """One thread of a hog in one phase, for programs."""
    return {
        "hog": hog.hog,
        "thread": hog.thread,
        "pcpu": hog.pcpu,
        "phase": hog.phase,
        "elapsed_ns": hog.elapsed_ns,
        "run_pct": hog.run_pct,
        "work": hog.work,
    }


def schedule_document(schedule: ScheduleWindow) -> dict[str, Any]:
    """A kept schedule, for programs."""
    return {
        "phase": schedule.phase,
        "moments": [asdict(moment) for moment in schedule.moments],
        "latest_begun_ns": schedule.latest_begun_ns,
        "latest_done_ns": schedule.latest_done_ns,
    }
