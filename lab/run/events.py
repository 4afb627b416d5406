# SPDX-License-Identifier: GPL-2.0-only
"""What happens while a lab runs, collected until there is a recording to write it to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from lab.recording import EVENTS_FILE, Event, render_event


class Journal:
    """Events in the order in which they happened. A sink gets those before it too, so nothing is lost."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._sinks: list[Callable[[Event], None]] = []

    def add(self, t_ns: int, kind: str, **data: Any) -> None:
        """One thing happened at `t_ns` on the host's clock (0: before there was one)."""
        event = Event(t_ns, kind, data)
        self._events.append(event)
        for sink in self._sinks:
            sink(event)

    def attach(self, sink: Callable[[Event], None]) -> None:
        """Give `sink` everything so far and everything to come."""
        for event in self._events:
            sink(event)
        self._sinks.append(sink)

    def detach(self) -> None:
        """Forget all sinks."""
        self._sinks.clear()

    @property
    def events(self) -> tuple[Event, ...]:
        """Everything so far."""
        return tuple(self._events)


def write_events(directory: Path, events: Iterable[Event]) -> None:
    """Keep events beside a lab's other files, for `lab logs`."""
    (directory / EVENTS_FILE).write_text("".join(map(render_event, events)))
