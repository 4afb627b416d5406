# SPDX-License-Identifier: GPL-2.0-only
"""Guest events against the host's timeline: a right clock passes, a wrong one is seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_traces import make_timeline, make_trace

from lab.trace.model import State, Trace, VcpuTimeline
from lab.trace.physics import check_physics

R, P, W, B, U = State.RUNNING, State.PREEMPTED, State.WAKING, State.BLOCKED, State.UNKNOWN

timelines = st.lists(st.tuples(st.integers(1, 20), st.sampled_from(State)), min_size=1, max_size=12).map(
    lambda parts: make_timeline(
        list(
            zip(
                np.cumsum([length for length, _ in parts]).tolist(),
                [state for _, state in parts],
                strict=True,
            )
        )
    )
)


def guest(*moments: tuple[int, int]) -> Trace:
    return make_trace(0, 1000, node="guest1", moments=moments)


def test_events_where_the_vcpu_ran_are_right() -> None:
    timeline = make_timeline([(100, R), (200, P), (300, R)])
    seen = check_physics(guest((0, 0), (50, 0), (100, 0), (200, 0), (299, 0)), [timeline], 0)
    assert (seen.checked, seen.violations, seen.worst_ns) == (5, 0, 0)


def test_events_elsewhere_are_violations_beyond_the_error() -> None:
    timeline = make_timeline([(100, R), (200, P), (260, W), (400, R), (500, B)])
    moments = guest((110, 0), (180, 0), (255, 0), (430, 0))
    assert check_physics(moments, [timeline], 0).violations == 4
    seen = check_physics(moments, [timeline], 10)
    assert (seen.checked, seen.violations, seen.worst_ns, seen.error_ns) == (4, 2, 80, 10)


def test_what_is_unknown_or_outside_is_not_checked_and_excuses_what_is_near() -> None:
    timeline = make_timeline([(100, U), (200, P), (300, R)])
    seen = check_physics(guest((50, 0), (105, 0), (300, 0), (700, 0), (150, 3)), [timeline], 5)
    assert (seen.checked, seen.violations, seen.worst_ns) == (1, 0, 5)


def test_a_vcpu_that_never_ran_has_only_violations() -> None:
    seen = check_physics(guest((50, 0)), [make_timeline([(100, B)])], 10**9)
    assert (seen.checked, seen.violations) == (1, 1) and seen.worst_ns > 10**18


def test_each_vcpu_is_checked_by_its_own_timeline_and_no_other_guests() -> None:
    mine, second = make_timeline([(100, R)]), make_timeline([(50, R), (100, B)], vcpu=1)
    other = make_timeline([(100, B)], node="guest2")
    seen = check_physics(guest((80, 0), (80, 1)), [mine, second, other], 0)
    assert (seen.checked, seen.violations, seen.worst_ns) == (2, 1, 30)


@given(timelines, st.lists(st.integers(-5, 260), max_size=30), st.integers(0, 15))
@settings(deadline=None)
def test_distances_are_those_to_the_nearest_nanosecond_it_may_have_run(
    timeline: VcpuTimeline, moments: list[int], error_ns: int
) -> None:
    stretches = list(
        zip(timeline.start_ns.tolist(), timeline.end_ns.tolist(), timeline.state.tolist(), strict=True)
    )
    ran = [t for begin, end, state in stretches if state in (R, U) for t in range(begin, end + 1)]
    known = [t for t in moments for begin, end, state in stretches if begin <= t < end and state != U]
    away = [min((abs(t - there) for there in ran), default=2**60) for t in known]
    seen = check_physics(guest(*((t, 0) for t in moments)), [timeline], error_ns)
    assert (seen.checked, seen.violations) == (len(known), sum(one > error_ns for one in away))
    if ran:
        assert seen.worst_ns == max(away, default=0)


@pytest.mark.parametrize("offset_ns", [-3000, 700, 25_000])
def test_a_wrong_offset_is_seen(offset_ns: int) -> None:
    """A thousand turns of 10 us each, and events all over those in which the vCPU ran."""
    timeline = make_timeline([(10_000 * (turn + 1), (R, P)[turn % 2]) for turn in range(1000)])
    within = np.random.default_rng(3).integers(0, 10_000, 5000)
    right = np.sort(20_000 * np.random.default_rng(4).integers(0, 500, 5000) + within)
    trace = replace(guest(), moments_ns=right, moments_cpu=np.zeros(len(right), dtype=np.int32))
    assert check_physics(trace, [timeline], 0).violations == 0
    wrong = check_physics(replace(trace, moments_ns=right + offset_ns), [timeline], 500)
    assert wrong.violations > 50 and wrong.worst_ns > 500
