# SPDX-License-Identifier: GPL-2.0-only
"""Governors at work: while time passes, look at what the host's probe saw, decide, and fold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

from lab.govern.loops import Decided, HintLoop, StealLoop
from lab.govern.seen import Seen
from lab.plan.folding import plan_fold_in
from lab.plan.governing import hint_guest, steal_rule
from lab.plan.labplan import GovernPlan, KnobSetting, LabPlan
from lab.run.watch import Watch
from lab.units import format_cpulist

#: How often a period is looked at while it passes. A guest's samples come in batches of half a second, and whatever
#: has come is found late by this part of a period at most.
LOOKS_IN_PERIOD = 8
_LONGEST_LOOK_S = 1.0

#: Writes settings, on all nodes at the same time; returns when all are written.
Write = Callable[[Sequence[KnobSetting]], None]


class Tell(Protocol):
    """Is told what was decided, as lab.run.events.Journal.add."""

    def __call__(self, t_ns: int, kind: str, **data: object) -> None: ...


@dataclass(frozen=True)
class _Due:
    """A decision about one node, and what was folded before it."""

    govern: GovernPlan
    decided: Decided
    before: frozenset[int]

    @property
    def changes(self) -> bool:
        return self.decided.decision.folded != self.before


class Governors:
    """The governors of one lab, for one user at a time. Without any, time just passes.

    What they folded stays folded until they are told to govern other nodes, or none.
    """

    def __init__(self, plan: LabPlan, watch: Watch, write: Write, tell: Tell) -> None:
        self._plan = plan
        self._watch = watch
        self._write = write
        self._tell = tell
        self._governs: dict[str, GovernPlan] = {}
        self._folded: dict[str, frozenset[int]] = {}
        self._half_written: set[str] = set()
        self._steal: dict[str, StealLoop] = {}
        self._hints: list[HintLoop] = []

    @property
    def folded(self) -> Mapping[str, frozenset[int]]:
        """What is folded now, by governed node."""
        return dict(self._folded)

    def release(self, governs: Sequence[GovernPlan]) -> None:
        """Take back what was folded on nodes that `governs` does not govern by the same mechanism."""
        staying = {(one.node, one.by) for one in governs}
        leaving = [one for one in self._governs.values() if (one.node, one.by) not in staying]
        folded = [one for one in leaving if self._folded.get(one.node) or one.node in self._half_written]
        if folded:
            self._write([setting for one in folded for setting in self._settings(one, frozenset())])
        self._half_written.difference_update(one.node for one in leaving)
        for one in leaving:
            del self._governs[one.node]
            self._folded.pop(one.node, None)
        self._steal, self._hints = {}, []

    def govern(self, governs: Sequence[GovernPlan]) -> None:
        """Govern these nodes from now on, beginning with what their governors before folded."""
        self.release(governs)
        self._governs = {one.node: one for one in governs}
        self._folded = {node: self._folded.get(node, frozenset()) for node in self._governs}
        self._steal = {one.node: self._steal_loop(one) for one in governs if one.source == "steal"}
        periods = dict.fromkeys(one.period_ns for one in governs if one.source == "host")
        self._hints = [self._hint_loop(period_ns) for period_ns in periods]

    def _steal_loop(self, govern: GovernPlan) -> StealLoop:
        rule = steal_rule(govern, self._plan.node(govern.node))
        return StealLoop(rule, govern.period_ns, self._slack_ns, self._folded[govern.node])

    def _hint_loop(self, period_ns: int) -> HintLoop:
        governed = {
            one.node: one
            for one in self._governs.values()
            if one.source == "host" and one.period_ns == period_ns
        }
        guests = {node.name: hint_guest(node, governed.get(node.name)) for node in self._plan.nodes}
        return HintLoop(guests, governed, period_ns, self._slack_ns, self._folded)

    @property
    def _slack_ns(self) -> int:
        return self._plan.measure.interval_ms * 1_000_000

    def sleep(self, seconds: float) -> None:
        """Let time pass, governing. Raises as Watch.sleep and whatever writing raises."""
        deadline = self._watch.now_s() + seconds
        while self._governs and (left := deadline - self._watch.now_s()) > 0:
            self._watch.sleep(min(left, self._look_s()))
            self.look()
        self._watch.sleep(max(0.0, deadline - self._watch.now_s()))

    def _look_s(self) -> float:
        shortest_ns = min(one.period_ns for one in self._governs.values())
        return min(_LONGEST_LOOK_S, shortest_ns / LOOKS_IN_PERIOD / 1e9)

    def look(self) -> None:
        """Look once; decide where a period is over, and write what follows from that."""
        seen = self._watch.state()
        due = list(chain(self._by_steal(seen), self._by_hint(seen)))
        changing = [one for one in due if one.changes]
        write_ns = self._fold(changing) if changing else 0
        for one in due:
            self._tell(seen.t_ns, "govern", **_event(one, write_ns if one.changes else 0))

    def _by_steal(self, seen: Seen) -> Iterator[_Due]:
        for node, loop in self._steal.items():
            steal = seen.guests[node].steal if node in seen.guests else None
            decided = None if steal is None else loop.see(steal)
            if decided is not None:
                yield _Due(self._governs[node], decided, loop.folded)

    def _by_hint(self, seen: Seen) -> Iterator[_Due]:
        for loop in self._hints:
            for node, decided in loop.see(seen).items():
                yield _Due(self._governs[node], decided, loop.folded[node])

    def _fold(self, due: Sequence[_Due]) -> int:
        """Write what was decided, all at once; returns how long that took, in ns of the host's clock."""
        before_ns = self._watch.mark("govern")
        folded = {one.govern.node: one.decided.decision.folded for one in due}
        self._half_written.update(folded)  # an interrupt may leave it written, or not
        self._write(
            list(chain.from_iterable(self._settings(one.govern, folded[one.govern.node]) for one in due))
        )
        after_ns = self._watch.mark("governed")
        self._folded.update(folded)
        self._half_written.difference_update(folded)
        for node in folded.keys() & self._steal.keys():
            self._steal[node].written(after_ns, folded[node])
        for loop in self._hints:
            # Whoever folds changes what all others see of the pCPUs.
            loop.written(after_ns, {node: folded[node] for node in folded.keys() & loop.folded.keys()})
        return after_ns - before_ns

    def _settings(self, govern: GovernPlan, folded: frozenset[int]) -> tuple[KnobSetting, ...]:
        return plan_fold_in(self._plan, govern.node, folded, govern.by)


def _event(due: _Due, write_ns: int) -> dict[str, object]:
    """What the event `govern` says (lab.recording.Event)."""
    govern, decided = due.govern, due.decided
    return {
        "node": govern.node,
        "source": govern.source,
        "action": decided.decision.action,
        "bound": decided.decision.bound,
        "seen_pct": round(decided.seen_pct, 3),
        "high_pct": govern.high_pct,
        "low_pct": govern.low_pct,
        "clock": "guest" if govern.source == "steal" else "host",
        "from_ns": decided.from_ns,
        "to_ns": decided.to_ns,
        "by": govern.by,
        "before": format_cpulist(due.before),
        "after": format_cpulist(decided.decision.folded),
        "write_ns": write_ns,
    }
