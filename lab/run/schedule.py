# SPDX-License-Identifier: GPL-2.0-only
"""A phase's schedule carried out while its window passes, with what time each change was really made."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from lab.plan.changetext import render_moment
from lab.plan.labplan import ChangePlan
from lab.run.govern import Tell
from lab.run.watch import Watch

#: Changes after which it is worth proving that they are so (lab.measure.proof).
_PROVEN = frozenset({"weight", "quota", "pin"})


@dataclass(frozen=True)
class _Moment:
    """Changes due at one time, in seconds of the watch's clock and in ns of the host's."""

    due_s: float
    planned_ns: int
    changes: tuple[ChangePlan, ...]


class Schedule:
    """The changes of one window at a time; without any, time just passes.

    `sleep` lets time pass, governing. A governor that is just deciding delays a change: how late each was is told
    as an event `schedule`.
    """

    def __init__(
        self,
        watch: Watch,
        sleep: Callable[[float], None],
        change: Callable[[Iterable[ChangePlan]], None],
        tell: Tell,
    ) -> None:
        self._watch = watch
        self._sleep = sleep
        self._change = change
        self._tell = tell
        self._phase = ""
        self._moments: deque[_Moment] = deque()

    def begin(self, phase: str, changes: Sequence[ChangePlan], start_ns: int) -> None:
        """A window begins, now, which is `start_ns` of the host's clock."""
        now_s = self._watch.now_s()
        self._phase = phase
        self._moments = deque(
            _Moment(now_s + at_ns / 1e9, start_ns + at_ns, tuple(some))
            for at_ns, some in groupby(changes, key=lambda one: one.at_ns)
        )

    def end(self) -> None:
        """The window is over: what was not due in it is not done."""
        self._moments.clear()

    def sleep(self, seconds: float) -> None:
        """Let time pass, and carry out what is due. Raises whatever letting time pass and changing raise."""
        deadline_s = self._watch.now_s() + seconds
        while self._moments and self._moments[0].due_s < deadline_s:
            self._sleep(max(0.0, self._moments[0].due_s - self._watch.now_s()))
            self._carry_out(self._moments.popleft())
        self._sleep(max(0.0, deadline_s - self._watch.now_s()))

    def _carry_out(self, moment: _Moment) -> None:
        begun_ns = self._watch.mark("schedule")
        self._change(moment.changes)
        done_ns = self._watch.mark("scheduled")
        self._tell(
            done_ns,
            "schedule",
            phase=self._phase,
            planned_ns=moment.planned_ns,
            begun_ns=begun_ns,
            done_ns=done_ns,
            changes=render_moment(moment.changes),
        )
        if any(one.kind in _PROVEN for one in moment.changes):
            self._watch.tasks(f"schedule {self._phase}")
