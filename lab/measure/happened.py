# SPDX-License-Identifier: GPL-2.0-only
"""What the lab did, as this package reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class EventLike(Protocol):
    """One thing the lab did, as `lab.recording.Event`."""

    @property
    def t_ns(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def data(self) -> Mapping[str, Any]: ...
