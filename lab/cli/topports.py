# SPDX-License-Identifier: GPL-2.0-only
"""What the screen of `lab top` needs from the outside, as Protocols: tests pass fakes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from lab.live.knobrows import KnobRow
from lab.live.step import Update
from lab.plan.labplan import LabPlan


class Source(Protocol):
    """Where a lab is seen from."""

    @property
    def plan(self) -> LabPlan:
        """The lab's plan."""

    @property
    def title(self) -> str:
        """The lab, where it is, and whose it is, in one line."""

    def news(self) -> Iterator[Update]:
        """Everything since the last time, in order. Never waits, and never raises: trouble is news too."""


class KnobBench(Protocol):
    """Where knobs are read and written. Both take seconds, and are called from threads, one at a time."""

    @property
    def refusal(self) -> str:
        """Why nothing may be touched here; empty where it may."""

    def read(self, machine: str) -> Sequence[KnobRow]:
        """The knobs of a node, or of the host (HOST_SCOPE). Raises LabError."""

    def write(self, machine: str, knob: str, value: str) -> str:
        """Write, read back, compare; the change in words. Raises LabError where the kernel refuses."""
