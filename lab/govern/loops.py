# SPDX-License-Identifier: GPL-2.0-only
"""From what is seen again and again to decisions: one for each period, from a period that nothing was written in.

A period counts from the first sample that was taken after the last write had taken effect: a period that began
before would mix what was with what is, and the governor would step too far.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from lab.govern.hint import HintGuest, busy_shares, folded_by_hint, plan_hint, with_busy
from lab.govern.policy import Action, Decision, StealRule, decide_by_steal, steal_ratio_pct
from lab.govern.seen import GuestSeen, Seen, StealSeen, ThreadSeen

#: A mask takes effect at the next tick, the tasks follow within some more of them.
EFFECT_NS = 100_000_000


@dataclass(frozen=True)
class Decided:
    """A decision and what it was made from, between two times of the guest's clock (steal) or the host's (hint).

    `seen_pct` is the steal ratio in per cent, or, for a hint, how much the guest wanted to run, in per cent
    of one vCPU.
    """

    decision: Decision
    seen_pct: float
    from_ns: int
    to_ns: int


class StealLoop:
    """One guest governed by its own steal. `folded` is what is folded at first; `slack_ns` is how much shorter than
    `period_ns` a period may be: one sampling interval, since samples are never exactly on time."""

    def __init__(self, rule: StealRule, period_ns: int, slack_ns: int, folded: frozenset[int]) -> None:
        self.folded = folded
        self._rule = rule
        self._enough_ns = max(1, period_ns - slack_ns)
        self._since: StealSeen | None = None
        self._not_before_ns = 0
        self._offset_ns: int | None = None

    def see(self, steal: StealSeen) -> Decided | None:
        """A decision, where a whole period has been seen since the last one."""
        since = self._since
        if since is not None and steal.guest_ns < since.guest_ns:  # it was started anew: its clock is another
            since, self._offset_ns = None, None
        late_ns = steal.arrived_ns - steal.guest_ns
        self._offset_ns = late_ns if self._offset_ns is None else min(self._offset_ns, late_ns)
        if since is None:
            taken_after = steal.guest_ns + self._offset_ns >= self._not_before_ns
            self._since = steal if taken_after else None
            return None
        if steal.guest_ns - since.guest_ns < self._enough_ns:
            return None
        self._since = steal
        ratio_pct = steal_ratio_pct(since.steal_ns, steal.steal_ns, steal.guest_ns - since.guest_ns)
        if ratio_pct is None:
            return None
        decision = decide_by_steal(self._rule, self.folded, ratio_pct)
        return Decided(decision, ratio_pct, since.guest_ns, steal.guest_ns)

    def written(self, t_ns: int, folded: frozenset[int]) -> None:
        """`folded` was written, and the write had ended at `t_ns` of the host's clock."""
        self.folded = folded
        self._since = None
        self._not_before_ns = t_ns + EFFECT_NS


class HintLoop:
    """All guests of a host, some of which (`governed`) are told by the host how many vCPUs to use."""

    def __init__(
        self,
        guests: Mapping[str, HintGuest],
        governed: Collection[str],
        period_ns: int,
        slack_ns: int,
        folded: Mapping[str, frozenset[int]],
    ) -> None:
        self.folded = {name: folded.get(name, frozenset()) for name in governed}
        self._guests = guests
        self._enough_ns = max(1, period_ns - slack_ns)
        self._since: Seen | None = None
        self._not_before_ns = 0

    def see(self, seen: Seen) -> dict[str, Decided]:
        """Decisions on all governed guests, where a whole period has been seen since the last ones; else none."""
        times = [thread.t_ns for name in self._guests for thread in _threads(seen, name)]
        if not times:
            return {}
        if self._since is None:
            self._since = seen if min(times) >= self._not_before_ns else None
            return {}
        begun = max(thread.t_ns for name in self._guests for thread in _threads(self._since, name))
        if min(times) - begun < self._enough_ns:
            return {}
        since, self._since = self._since, seen
        return self._decide(since, seen, begun, min(times))

    def _decide(self, since: Seen, seen: Seen, from_ns: int, to_ns: int) -> dict[str, Decided]:
        guests = {name: with_busy(one, _busy(since, seen, name)) for name, one in self._guests.items()}
        hint = plan_hint(guests)
        return {
            name: Decided(
                _decision(before, folded_by_hint(guests[name], hint[name])),
                100 * sum(guests[name].busy.values()),
                from_ns,
                to_ns,
            )
            for name, before in self.folded.items()
        }

    def written(self, t_ns: int, folded: Mapping[str, frozenset[int]]) -> None:
        """`folded` was written, and the writes had ended at `t_ns` of the host's clock."""
        self.folded.update(folded)
        self._since = None
        self._not_before_ns = t_ns + EFFECT_NS


def _threads(seen: Seen, name: str) -> list[ThreadSeen]:
    return list(seen.guests.get(name, GuestSeen()).threads.values())


def _busy(since: Seen, seen: Seen, name: str) -> dict[int, float]:
    """How busy each vCPU was; none at all for a guest whose threads were not there all the time."""
    before, after = (
        {
            vcpu: (one.t_ns, one.run_ns, one.delay_ns)
            for vcpu, one in at.guests.get(name, GuestSeen()).threads.items()
        }
        for at in (since, seen)
    )
    return busy_shares(before, after) or {}


def _decision(before: frozenset[int], after: frozenset[int]) -> Decision:
    if before == after:
        return Decision("hold", before)
    change = len(after) - len(before)
    action: Action = "step-down" if change > 0 else "step-up" if change < 0 else "move"
    return Decision(action, after)
