# SPDX-License-Identifier: GPL-2.0-only
"""Knobs as they are shown: what a kernel holds, or what a run's journal says was written last."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lab.measure.happened import EventLike


@dataclass(frozen=True)
class KnobRow:
    """One knob of one machine. `value` is in the knob's own unit; None where it is not known, and `why` says so."""

    machine: str
    name: str
    value: str | None
    why: str = ""


def written_knobs(events: Iterable[EventLike], machine: str) -> tuple[KnobRow, ...]:
    """The knobs of a machine that a run wrote, with the values that they have since, by their first write."""
    found: dict[str, KnobRow] = {}
    for event in events:
        if event.kind in ("knob", "knob-restored") and event.data.get("node") == machine:
            name = str(event.data.get("knob"))
            found[name] = KnobRow(machine, name, str(event.data.get("new", "")))
        elif event.kind == "restart" and event.data.get("node") == machine:
            found = {name: KnobRow(machine, name, None, "the guest was started anew since") for name in found}
    return tuple(found.values())
