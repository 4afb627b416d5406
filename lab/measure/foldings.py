# SPDX-License-Identifier: GPL-2.0-only
"""When vCPUs were folded, and how long it took until the host saw nothing of them any more.

A fold is seen where it matters: on the host, in the run time of the folded vCPU's thread. What the guest says
about itself is not asked. What happened between two readings is not known: the resolution is one interval.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

from lab.measure.happened import ClockNear, EventLike, PhaseLike
from lab.measure.series import Series
from lab.measure.windows import Folding
from lab.units import parse_cpulist

#: A vCPU that runs less than this part of the time is empty: a tick, a timer and a kernel thread are left of it.
QUIET_PCT = 5.0
#: It has to be so at once: over the next interval, or this long where intervals are shorter than a time slice.
AT_ONCE_NS = 100_000_000
#: And for good: in every stretch of this length that follows. On a busy emulated host, what is left to a folded
#: vCPU was seen to take 8 % of a single second, but never 5 % of two.
FOR_GOOD_NS = 2_000_000_000
#: Readings further apart than this many intervals cannot say when anything happened in between.
GAP_INTERVALS = 5


@dataclass(frozen=True)
class FoldAct:
    """A node told to leave `vcpus` alone by `mechanism`; none of them: to use all of them again.

    The write began at `begin_ns` of the host's clock, or up to `error_ns` later.
    """

    node: str
    mechanism: str
    vcpus: tuple[int, ...]
    begin_ns: int
    error_ns: int


def fold_acts(events: Iterable[EventLike], clock_near: ClockNear) -> tuple[FoldAct, ...]:
    """Every fold among `events`, in order; writes that together make one fold count as one."""
    acts: list[FoldAct] = []
    for event in events:
        if event.kind == "knob" and event.data.get("fold"):
            _add_act(acts, _act(event.data, clock_near))
    return tuple(acts)


def _add_act(acts: list[FoldAct], act: FoldAct) -> None:
    """Add `act`, or let the node's act before it begin as early, where that folds the same."""
    last = next((i for i in reversed(range(len(acts))) if acts[i].node == act.node), None)
    if last is not None and (acts[last].mechanism, acts[last].vcpus) == (act.mechanism, act.vcpus):
        acts[last] = replace(acts[last], begin_ns=min(acts[last].begin_ns, act.begin_ns))
    else:
        acts.append(act)


def _act(data: Mapping[str, Any], clock_near: ClockNear) -> FoldAct:
    begin_ns, error_ns = _begin(data, clock_near)
    return FoldAct(data["fold_node"], data["fold"], parse_cpulist(data["fold_vcpus"]), begin_ns, error_ns)


def _begin(data: Mapping[str, Any], clock_near: ClockNear) -> tuple[int, int]:
    """When the write began: as the guest's clock has it, else somewhere between the host's two times."""
    first_ns, last_ns = int(data["host_t0_ns"]), int(data["host_t1_ns"])
    clock = clock_near(data["node"], first_ns) if data.get("guest_t0_ns") else None
    if clock is None:
        return first_ns, last_ns - first_ns
    guest_ns = int(data["guest_t0_ns"]) + clock.offset_ns
    earliest_ns = max(first_ns, guest_ns - clock.error_ns)
    latest_ns = min(last_ns, guest_ns + clock.error_ns)
    return (
        (earliest_ns, latest_ns - earliest_ns) if earliest_ns <= latest_ns else (first_ns, last_ns - first_ns)
    )


def measure_foldings(
    acts: Sequence[FoldAct],
    phases: Sequence[PhaseLike],
    threads: Mapping[tuple[str, int], Series],
    interval_ms: int,
) -> tuple[Folding, ...]:
    """Every act that folded vCPUs before the window of a phase began, with its effect until the phase's end.

    `phases` are those measured, in order; `threads` are the vCPU threads' readings, run time (ns) first. What is
    folded within a window belongs to no phase as a whole, and is left out.
    """
    history = _History(acts, phases)
    return tuple(
        _measure(act, history, index, threads, interval_ms)
        for act in acts
        if act.vcpus and (index := history.phase_of(act)) is not None
    )


class _History:
    """What was folded when."""

    def __init__(self, acts: Sequence[FoldAct], phases: Sequence[PhaseLike]) -> None:
        self.acts, self.phases = acts, phases

    def phase_of(self, act: FoldAct) -> int | None:
        """The phase at whose beginning the act was done; None where there is none."""
        for index, phase in enumerate(self.phases):
            if act.begin_ns < phase.end_ns:
                return index if act.begin_ns <= phase.start_ns else None
        return None

    def baseline(self, index: int) -> str | None:
        """The last phase before `index` in which nothing was folded."""
        before = (self.phases[i] for i in range(index - 1, -1, -1))
        return next((phase.name for phase in before if not self._anything_folded(phase)), None)

    def unfolded(self, act: FoldAct, index: int) -> str | None:
        """The first phase after `index` in which the act's node had nothing folded by its mechanism."""
        later = self.phases[index + 1 :]
        folded = (
            (phase.name, self._folded(phase.start_ns).get((act.node, act.mechanism), ())) for phase in later
        )
        return next((name for name, vcpus in folded if not vcpus), None)

    def until_ns(self, act: FoldAct, index: int) -> int:
        """How long the act stood: until the next on the same node, or to the end of its phase."""
        later = (one.begin_ns for one in self.acts if one.node == act.node and one.begin_ns > act.begin_ns)
        return min([self.phases[index].end_ns, *later])

    def _anything_folded(self, phase: PhaseLike) -> bool:
        inside = any(act.vcpus for act in self.acts if phase.start_ns < act.begin_ns < phase.end_ns)
        return inside or any(self._folded(phase.start_ns).values())

    def _folded(self, t_ns: int) -> dict[tuple[str, str], tuple[int, ...]]:
        return {(act.node, act.mechanism): act.vcpus for act in self.acts if act.begin_ns <= t_ns}


def _measure(
    act: FoldAct,
    history: _History,
    index: int,
    threads: Mapping[tuple[str, int], Series],
    interval_ms: int,
) -> Folding:
    until_ns = history.until_ns(act, index)
    seen = [_effect(act, vcpu, threads.get((act.node, vcpu)), until_ns, interval_ms) for vcpu in act.vcpus]
    times = [one.effect_ns for one in seen]
    known = [time for time in times if time is not None]
    return Folding(
        node=act.node,
        vcpus=act.vcpus,
        mechanism=act.mechanism,
        phase=history.phases[index].name,
        baseline=history.baseline(index),
        unfolded=history.unfolded(act, index),
        begin_ns=act.begin_ns,
        observed_ns=until_ns - act.begin_ns,
        effect_ns=max(known) if len(known) == len(times) else None,
        error_ns=act.error_ns + max(one.interval_ns for one in seen),
        doubts=tuple(doubt for one in seen for doubt in one.doubts),
    )


@dataclass(frozen=True)
class _Effect:
    """On one vCPU; `effect_ns` is None where it did not come."""

    effect_ns: int | None
    interval_ns: int
    doubts: tuple[str, ...] = ()


def _effect(act: FoldAct, vcpu: int, series: Series | None, until_ns: int, interval_ms: int) -> _Effect:
    name, interval_ns = f"vCPU {vcpu} of {act.node}", interval_ms * 1_000_000
    if series is None or not (series.covers(act.begin_ns) and series.covers(until_ns)):
        return _Effect(None, interval_ns, (f"the thread of {name} was not seen while it was folded",))
    gap_ns = series.widest_gap_ns(act.begin_ns, until_ns)
    if gap_ns > GAP_INTERVALS * interval_ns:
        return _Effect(None, gap_ns, (f"the thread of {name} was not read for {gap_ns / 1e6:.0f} ms",))
    if until_ns - act.begin_ns < FOR_GOOD_NS:
        return _Effect(None, gap_ns, (f"{name} was folded for {(until_ns - act.begin_ns) / 1e9:.1f} s only",))
    before_ns = max(act.begin_ns - FOR_GOOD_NS, series.times_ns[0])
    if not _is_busy(series, before_ns, act.begin_ns):
        return _Effect(None, gap_ns, (f"{name} was idle before it was folded",))
    quiet_ns = quiet_from(series, act.begin_ns, until_ns)
    return _Effect(None if quiet_ns is None else quiet_ns - act.begin_ns, gap_ns)


def quiet_from(series: Series, begin_ns: int, until_ns: int) -> int | None:
    """The first reading after `begin_ns` from which the thread is quiet, `series` having run time (ns) first.

    Quiet is less than QUIET_PCT of the time, both at once and in every stretch of FOR_GOOD_NS up to `until_ns`.
    None where no such reading is followed by at least one such stretch.
    """
    readings = [t_ns for t_ns in series.times_ns if begin_ns <= t_ns <= until_ns - FOR_GOOD_NS]
    for_good = list(
        takewhile(lambda t_ns: not _is_busy(series, t_ns, t_ns + FOR_GOOD_NS), reversed(readings))
    )
    return next((t_ns for t_ns in reversed(for_good) if not _is_busy_at_once(series, t_ns)), None)


def _is_busy_at_once(series: Series, t_ns: int) -> bool:
    following = bisect_right(series.times_ns, t_ns)
    return _is_busy(series, t_ns, max(series.times_ns[following], t_ns + AT_ONCE_NS))


def _is_busy(series: Series, start_ns: int, end_ns: int) -> bool:
    if end_ns <= start_ns:
        return False
    return 100 * series.growth(start_ns, end_ns)[0] >= QUIET_PCT * (end_ns - start_ns)
