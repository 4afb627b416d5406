# SPDX-License-Identifier: GPL-2.0-only
"""What is known of a running lab, look after look. A state is a value: every step makes another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from lab.measure.happened import EventLike
from lab.measure.probestream import Hello, Sample
from lab.plan.labplan import LabPlan

#: Rates are over the samples of this long: two or three looks, as a single one is as coarse as /proc/stat.
SPAN_NS = 3_000_000_000
#: A source that has brought nothing new for this long is called silent.
SILENT_NS = 5_000_000_000
#: What is kept of consoles (lines of each), of what happened, and of each vCPU's steal.
KEPT_LINES = 1000
KEPT_HAPPENINGS = 300
KEPT_TREND = 120

Tone = Literal["", "head", "good", "warn", "bad", "dim"]


@dataclass(frozen=True)
class Happening:
    """Something that happened at `t_ns` of the host's clock; 0 where that is not known."""

    t_ns: int
    text: str
    tone: Tone = ""


@dataclass(frozen=True)
class Heard:
    """One stream: its first line, its samples of the last SPAN_NS, oldest first, and when it last grew, by the
    host's clock."""

    hello: Hello
    samples: tuple[Sample, ...]
    heard_ns: int

    @property
    def ends(self) -> tuple[Sample, Sample] | None:
        """The two samples that rates are between."""
        return (self.samples[0], self.samples[-1]) if len(self.samples) > 1 else None


@dataclass(frozen=True)
class Phase:
    """The phase that a run is in: it `begins`, is `measured`, or is `over` since `since_ns` of the host's clock."""

    name: str
    stage: Literal["begins", "measured", "over"]
    since_ns: int


@dataclass(frozen=True)
class LiveState:
    """Everything that is shown.

    `consoles` are the last lines, `console_totals` how many there ever were; `trends` are by node and vCPU, newest
    last, in per cent; `follower_pct` is what the follower itself costs, in per cent of a pCPU; `events` are those
    of the run's journal; `trouble` is why nothing new comes, empty while it does.
    """

    plan: LabPlan
    t_ns: int = 0
    heard: Mapping[str, Heard] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()
    consoles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    console_totals: Mapping[str, int] = field(default_factory=dict)
    trends: Mapping[tuple[str, int], tuple[float, ...]] = field(default_factory=dict)
    events: tuple[EventLike, ...] = ()
    happenings: tuple[Happening, ...] = ()
    phase: Phase | None = None
    follower: tuple[int, int] | None = None
    follower_pct: float | None = None
    trouble: str = ""

    def is_silent(self, source: str) -> bool:
        """Whether a stream has not grown lately, or never spoke."""
        heard = self.heard.get(source)
        return heard is None or self.t_ns - heard.heard_ns > SILENT_NS


def running_loads(heard: Heard) -> set[str]:
    """Loads with tasks in the last sample."""
    return {task.load for task in heard.samples[-1].tasks} if heard.samples else set()
