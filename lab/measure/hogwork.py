# SPDX-License-Identifier: GPL-2.0-only
"""What hogs did in a window, and how late its scheduled changes were."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lab.measure.happened import EventLike
from lab.measure.windows import HogWindow, ScheduleMoment, ScheduleWindow
from lab.plan.labplan import HogPlan

#: The edges of a window, at which hogs are looked at: a moment before it, and a moment after.
_EDGES = ("start", "end")
_NEAR_NS = 5_000_000_000


def hog_windows(
    phase: str, start_ns: int, end_ns: int, hogs: Sequence[HogPlan], events: Sequence[EventLike]
) -> Iterator[HogWindow]:
    """One for each thread of a hog that was there at both edges."""
    pcpus = {(hog.name, thread): pcpu for hog in hogs for thread, pcpu in enumerate(hog.pcpus)}
    before = _looks(events, _EDGES[0], start_ns - _NEAR_NS, start_ns)
    after = _looks(events, _EDGES[1], end_ns, end_ns + _NEAR_NS)
    for key, first in before.items():
        last = after.get(key)
        if last is not None and key in pcpus and last.t_ns > first.t_ns:
            yield HogWindow(
                hog=key[0],
                thread=key[1],
                pcpu=pcpus[key],
                phase=phase,
                elapsed_ns=last.t_ns - first.t_ns,
                run_ns=last.data["run_ns"] - first.data["run_ns"],
                work=last.data["work"] - first.data["work"],
            )


def _looks(
    events: Sequence[EventLike], edge: str, from_ns: int, to_ns: int
) -> dict[tuple[str, int], EventLike]:
    found: dict[tuple[str, int], EventLike] = {}
    for event in events:
        if event.kind == "hog-work" and event.data["edge"] == edge and from_ns <= event.t_ns <= to_ns:
            found[event.data["hog"], event.data["thread"]] = event
    return found


def schedule_window(
    phase: str, start_ns: int, end_ns: int, events: Sequence[EventLike]
) -> ScheduleWindow | None:
    """How the schedule of a window was kept; None where it had none."""
    made = [
        ScheduleMoment(*(event.data[key] - start_ns for key in ("planned_ns", "begun_ns", "done_ns")))
        for event in events
        if event.kind == "schedule" and start_ns <= event.data["planned_ns"] < end_ns
    ]
    return ScheduleWindow(phase, tuple(made)) if made else None
