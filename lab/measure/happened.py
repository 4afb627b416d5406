# SPDX-License-Identifier: GPL-2.0-only
"""What the lab did and when, as this package reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from lab.measure.windows import ClockMatch


class EventLike(Protocol):
    """One thing the lab did, as `lab.recording.Event`."""

    @property
    def t_ns(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def data(self) -> Mapping[str, Any]: ...


class PhaseLike(Protocol):
    """A phase's measured window, on the host's clock."""

    @property
    def name(self) -> str: ...
    @property
    def start_ns(self) -> int: ...
    @property
    def end_ns(self) -> int: ...


#: The clock of a node around a time of the host's clock; None where it is not known, or has none (the host).
ClockNear = Callable[[str, int], ClockMatch | None]
