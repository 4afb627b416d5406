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
    """Where a lab is asked for what costs something: knobs are read and written, kernels' logs are read. All of it
    takes seconds, and is called from threads."""

    @property
    def refusal(self) -> str:
        """Why nothing may be touched here; empty where it may."""

    def read(self, machine: str) -> Sequence[KnobRow]:
        """The knobs of a node, or of the host (HOST_SCOPE). Raises LabError."""

    def kernel_log(self, machine: str) -> Sequence[str]:
        """The last lines of a kernel's log, which its console need not have. Raises LabError."""

    def write(self, machine: str, knob: str, value: str) -> str:
        """Write, read back, compare; the change in words. Raises LabError where the kernel refuses."""
