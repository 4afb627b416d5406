# SPDX-License-Identifier: GPL-2.0-only
"""What preemptions hit: by marks of held locks, and by the tick that was pending."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_traces import MS, make_timeline, make_trace

from lab.trace.holders import GuestTrace, Holds, parse_holds, tick_period_ns
from lab.trace.model import State, Trace
from lab.trace.summary import Holders

R, P, B = State.RUNNING, State.PREEMPTED, State.BLOCKED
WORKER, OTHER = 41, 42
TICK = 10 * MS

#: Preempted from 100 to 130 ms, and from 140 to 145.
TWICE = make_timeline([(100 * MS, R), (130 * MS, P), (140 * MS, R), (145 * MS, P), (200 * MS, R)])


def guest(**what: object) -> Trace:
    switched = what.pop("switched", [(MS, 0, 0, 1, WORKER)])
    return make_trace(0, 200 * MS, node="guest1", switched=switched, **what)  # type: ignore[arg-type]


def hit(trace: Trace, marks_holds: bool = False) -> Holders:
    seen = GuestTrace(trace, marks_holds=marks_holds, tick_ns=TICK).holders(TWICE)
    assert seen is not None
    return seen


def test_a_preemption_within_a_hold_of_who_ran_hit_a_holder() -> None:
    """Held from 95 to 135 ms: over the first preemption, and not over the second."""
    seen = hit(guest(marks=[(135 * MS, 0, WORKER, f"pvlock hold spin {40 * MS}\n")]))
    assert (seen.told, seen.in_lock) == (2, 1)
    assert (seen.told_by_tick, seen.no_preempt, seen.irqs_off) == (0, None, 0)


def test_a_hold_of_somebody_else_is_not_hit() -> None:
    assert hit(guest(marks=[(135 * MS, 1, OTHER, f"pvlock hold spin {40 * MS}")])).in_lock == 0


def test_who_ran_is_who_the_guest_had_switched_to_last() -> None:
    switched = [(MS, 0, 0, 1, WORKER), (98 * MS, 0, WORKER, 1, OTHER), (138 * MS, 0, OTHER, 1, WORKER)]
    marks = [(150 * MS, 0, WORKER, f"pvlock hold futex {60 * MS}")]
    assert hit(guest(switched=switched, marks=marks)).in_lock == 1


def test_without_marks_nobody_knows_unless_the_load_would_have_made_some() -> None:
    assert GuestTrace(guest(), tick_ns=TICK).holders(TWICE) is None
    seen = hit(guest(), marks_holds=True)
    assert (seen.told, seen.in_lock) == (2, 0)


def test_the_tick_that_was_pending_tells_what_was_hit() -> None:
    """The second preemption is shorter than a tick: nothing was pending."""
    ticks = [(130 * MS + 5000, 0, WORKER, 2), (145 * MS + 5000, 0, WORKER, 0)]
    seen = hit(guest(ticks=ticks))
    assert seen == Holders(told=1, in_lock=None, no_preempt=1, irqs_off=0, told_by_tick=1)


@pytest.mark.parametrize(
    ("tick", "told"),
    [
        ((130 * MS + 900_000, 0, WORKER, 0), 1),
        ((130 * MS + 1_100_000, 0, WORKER, 0), 0),  # the guest had run too long: not the one that was pending
        ((146 * MS, 0, WORKER, 0), 0),  # of the second preemption, if of any
        ((130 * MS + 5000, 1, WORKER, 0), 0),  # on another vCPU
        ((99 * MS, 0, WORKER, 0), 0),  # before
        ((129 * MS, 0, WORKER, 0), 1),  # a little too early by the clocks' error
    ],
)
def test_only_a_tick_right_after_the_preemption_tells(tick: tuple[int, ...], told: int) -> None:
    assert hit(guest(ticks=[tick])).told_by_tick == told


def test_a_kernel_that_does_not_count_cannot_tell_sections_not_to_be_preempted() -> None:
    assert hit(guest(ticks=[(130 * MS + 5000, 0, WORKER, 0)])).no_preempt is None


def test_an_idle_task_is_always_one_level_deep() -> None:
    assert hit(guest(ticks=[(130 * MS + 5000, 0, 0, 1)])).no_preempt == 0
    assert hit(guest(ticks=[(130 * MS + 5000, 0, 0, 2)])).no_preempt == 1


def test_a_task_switched_before_the_pending_tick_shows_that_interrupts_were_off() -> None:
    switched = [(MS, 0, 0, 1, WORKER), (130 * MS + 4000, 0, WORKER, 0, OTHER)]
    tick = (130 * MS + 9000, 0, OTHER, 0)
    assert hit(guest(switched=switched, ticks=[tick])).irqs_off == 1
    assert hit(guest(switched=[(MS, 0, 0, 1, WORKER)], ticks=[tick])).irqs_off == 0
    idle = [(MS, 0, WORKER, 0, 0), (130 * MS + 4000, 0, 0, 1, OTHER)]
    assert hit(guest(switched=idle, ticks=[tick])).irqs_off == 0
    assert hit(guest(switched=[], ticks=[tick])).irqs_off is None


def test_without_switches_the_tick_tells_who_ran() -> None:
    marks = [(135 * MS, 0, WORKER, f"pvlock hold spin {40 * MS}")]
    seen = hit(guest(switched=[], ticks=[(130 * MS + 5000, 0, WORKER, 0)], marks=marks))
    assert (seen.told, seen.in_lock) == (1, 1)


def test_a_vcpu_without_preemptions_or_timeline_has_none_that_hit_anything() -> None:
    trace = GuestTrace(guest(ticks=[(50 * MS, 0, WORKER, 1)]), marks_holds=True)
    for timeline in (make_timeline([(200 * MS, R)]), make_timeline([])):
        assert trace.holders(timeline) == Holders(0, 0, 0, 0, told_by_tick=0)


def test_holds_are_parsed_and_other_texts_left() -> None:
    texts = (
        "pvlock hold spin 300",
        "hello",
        "pvlock hold spin",
        "pvlock hold a b 3",
        "pvlock hold futex 20 \n",
    )
    seen = parse_holds(guest(marks=[(1000 + at, 0, 7, text) for at, text in enumerate(texts)]).marks)
    assert seen.name == ("spin", "futex")
    assert (seen.begin_ns.tolist(), seen.end_ns.tolist()) == ([700, 984], [1000, 1004])


holds = st.lists(st.tuples(st.integers(1, 3), st.integers(0, 50), st.integers(0, 20)), max_size=15)


@given(holds, st.lists(st.tuples(st.integers(1, 4), st.integers(0, 70)), max_size=20))
@settings(deadline=None)
def test_held_is_within_any_hold_of_the_thread_whether_they_overlap_or_not(
    rows: list[tuple[int, int, int]], asked: list[tuple[int, int]]
) -> None:
    tid, begin, length = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    seen = Holds(tid.astype(np.int32), begin, begin + length, ("x",) * len(rows))
    tids, moments = np.array(asked, dtype=np.int64).reshape(-1, 2).T
    expected = [any(one == who and at <= t <= at + ns for one, at, ns in rows) for who, t in asked]
    assert seen.held(tids.astype(np.int32), moments).tolist() == expected


def test_the_period_of_the_tick_is_found_though_some_are_late() -> None:
    """Of each five ticks one is 7 ms late, and the next keeps to the grid."""
    ticks = [(at * TICK + (7 * MS if at % 5 == 0 else 0), vcpu, 1, 0) for at in range(100) for vcpu in (0, 1)]
    assert tick_period_ns(guest(ticks=ticks)) == TICK
    assert tick_period_ns(guest()) == 0
    assert tick_period_ns(guest(ticks=[(5, 0, 1, 0)])) == 0


steps = st.lists(st.tuples(st.integers(1, 30), st.sampled_from((R, P, B))), min_size=1, max_size=12)


@given(steps, st.lists(st.integers(0, 200), unique=True, max_size=20), st.integers(0, 15))
@settings(deadline=None)
def test_ticks_tell_what_the_slow_way_tells(
    parts: list[tuple[int, State]], ticks: list[int], tick_ns: int
) -> None:
    """In steps of 0.1 ms, so that run time counts, too."""
    ends = np.cumsum([length for length, _ in parts]).tolist()
    timeline = make_timeline(
        [(end * MS // 10, state) for end, (_, state) in zip(ends, parts, strict=True)], start_ns=0
    )
    trace = make_trace(0, 10**9, node="guest1", ticks=[(at * MS // 10, 0, 5, 0) for at in ticks])
    seen = GuestTrace(trace, marks_holds=True, tick_ns=tick_ns * MS // 10).holders(timeline)
    assert seen is not None and seen.told_by_tick == _slowly_told(parts, sorted(ticks), tick_ns)


def _slowly_told(parts: list[tuple[int, State]], ticks: list[int], tick_ns: int) -> int:
    states = [state for length, state in parts for _ in range(length)]
    begins = [sum(length for length, _ in parts[:at]) for at in range(len(parts))]
    preempted = [(at, at + parts[n][0]) for n, at in enumerate(begins) if parts[n][1] == P]
    told = 0
    for at, end in preempted:
        following = [tick for tick in ticks if 2 * tick >= at + end]
        if end - at <= tick_ns or not following or following[0] >= len(states):
            continue
        later = [one for one in preempted if one[0] > at and sum(one) <= 2 * following[0]]
        told += not later and states[end : following[0]].count(R) <= 10
    return told
