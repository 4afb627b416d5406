# SPDX-License-Identifier: GPL-2.0-only
"""Whether the schedule of a window was carried out, and in time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lab.measure.happened import EventLike
from lab.plan.labplan import PhasePlan

#: A change may be this late, in per cent of the window, or in ns where that is longer. What is predicted goes by
#: when changes were really made; beyond this the contention is not the one that was asked for.
LATE_PCT, LATE_NS = 5.0, 1_000_000_000


def schedule_doubts(
    phase: PhasePlan | None, events: Sequence[EventLike], start_ns: int, end_ns: int
) -> Iterator[str]:
    """Reasons for which a window is not the one that was scheduled; `phase` is None where it was not planned."""
    if phase is None or not phase.changes:
        return
    made = [
        event
        for event in events
        if event.kind == "schedule" and start_ns <= event.data["planned_ns"] < end_ns
    ]
    bound_ns = max(LATE_NS, LATE_PCT / 100 * (end_ns - start_ns))
    for event in made:
        late_ns = event.data["done_ns"] - event.data["planned_ns"]
        if late_ns > bound_ns:
            at_ns = event.data["planned_ns"] - start_ns
            what = f"the change planned at {at_ns / 1e9:.1f} s ({event.data['changes']})"
            yield f"{what} was done {late_ns / 1e9:.1f} s late"
    planned = {change.at_ns for change in phase.changes if change.at_ns < end_ns - start_ns}
    if len(made) < len(planned):
        yield f"{len(planned) - len(made)} of {len(planned)} moments of the schedule did not come"
