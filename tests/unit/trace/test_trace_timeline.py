# SPDX-License-Identifier: GPL-2.0-only
"""Timelines of vCPUs: by hand, and against a slow reference on random events."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from made_traces import make_trace, vcpu_thread
from slow_timeline import slow_stretches

from lab.trace.model import State, Trace, VcpuTimeline
from lab.trace.timeline import Runners, vcpu_timelines

ME, OTHER, HOG = 7, 8, 9

# Few moments, so that several events fall on one, and a window that cuts some of them off.
moments = st.integers(0, 40)
pcpus = st.integers(0, 2)
tids = st.sampled_from((0, ME, OTHER, HOG))
switched = st.tuples(moments, pcpus, tids, st.integers(0, 1), tids).filter(lambda row: row[2] != row[4])
woken = st.tuples(moments, st.sampled_from((ME, OTHER)), pcpus)
traces = st.builds(
    lambda begin, length, rows, wakes: make_trace(begin, begin + length, switched=rows, woken=wakes),
    st.integers(0, 25),
    st.integers(0, 40),
    st.lists(switched, max_size=25),
    st.lists(woken, max_size=12),
)


def timeline(trace: Trace, tid: int = ME) -> VcpuTimeline:
    (one,) = vcpu_timelines(trace, {tid: vcpu_thread(tid)})
    return one


def rows(one: VcpuTimeline) -> list[tuple[int, int, State, int, int]]:
    columns = (one.start_ns, one.end_ns, one.state, one.pcpu, one.taker)
    return [
        (begin, end, State(state), pcpu, taker)
        for begin, end, state, pcpu, taker in zip(*(column.tolist() for column in columns), strict=True)
    ]


@given(traces)
@settings(max_examples=400, deadline=None)
def test_a_timeline_is_what_the_slow_reference_says(trace: Trace) -> None:
    assert rows(timeline(trace)) == slow_stretches(trace, ME)


@given(traces)
@settings(max_examples=200, deadline=None)
def test_stretches_follow_without_a_gap_and_sum_up_to_the_window(trace: Trace) -> None:
    one = timeline(trace)
    lengths = one.end_ns - one.start_ns
    assert np.all(lengths > 0) and lengths.sum() == trace.end_ns - trace.start_ns
    if len(lengths):
        assert one.start_ns[0] == trace.start_ns and one.end_ns[-1] == trace.end_ns
    assert np.array_equal(one.start_ns[1:], one.end_ns[:-1])
    assert {column.dtype for column in (one.state, one.pcpu, one.taker)} == {np.dtype(np.int32)}


def test_preempted_blocked_and_woken_in_turn() -> None:
    trace = make_trace(
        switched=[
            (10, 0, ME, 1, OTHER),
            (30, 0, OTHER, 1, ME),
            (40, 0, ME, 0, 0),
            (55, 0, 0, 1, OTHER),
            (70, 1, HOG, 1, ME),
        ],
        woken=[(60, ME, 1)],
    )
    assert rows(timeline(trace)) == [
        (0, 10, State.RUNNING, 0, -1),
        (10, 30, State.PREEMPTED, 0, OTHER),
        (30, 40, State.RUNNING, 0, -1),
        (40, 60, State.BLOCKED, 0, 0),
        (60, 70, State.WAKING, 0, HOG),
        (70, 100, State.RUNNING, 1, -1),
    ]


def test_a_wakeup_onto_an_idle_pcpu_waits_for_nobody() -> None:
    trace = make_trace(switched=[(20, 1, HOG, 0, 0), (50, 1, 0, 1, ME)], woken=[(45, ME, 1)])
    assert rows(timeline(trace))[:2] == [(0, 45, State.BLOCKED, -1, -1), (45, 50, State.WAKING, -1, 0)]


def test_what_is_not_known_before_the_first_event_is_said_to_be() -> None:
    assert rows(timeline(make_trace())) == [(0, 100, State.UNKNOWN, -1, -1)]
    into = make_trace(switched=[(50, 2, OTHER, 1, ME)])
    assert rows(timeline(into)) == [(0, 50, State.UNKNOWN, -1, -1), (50, 100, State.RUNNING, 2, -1)]


def test_a_wakeup_of_what_runs_or_is_preempted_changes_nothing() -> None:
    trace = make_trace(switched=[(20, 0, ME, 1, HOG), (60, 0, HOG, 1, ME)], woken=[(5, ME, 0), (30, ME, 0)])
    assert [row[2] for row in rows(timeline(trace))] == [State.RUNNING, State.PREEMPTED, State.RUNNING]


def test_without_its_wakeup_a_thread_is_blocked_until_it_runs() -> None:
    trace = make_trace(switched=[(20, 0, ME, 0, HOG), (60, 0, HOG, 1, ME)])
    assert rows(timeline(trace))[1] == (20, 60, State.BLOCKED, 0, HOG)


def test_events_outside_the_window_tell_what_went_on_at_its_ends() -> None:
    trace = make_trace(50, 100, switched=[(10, 0, ME, 1, HOG), (120, 0, HOG, 1, ME)])
    assert rows(timeline(trace)) == [(50, 100, State.PREEMPTED, 0, HOG)]


def test_timelines_are_of_the_vcpus_only_and_in_order() -> None:
    threads = {
        tid: vcpu_thread(tid, node, vcpu) for tid, node, vcpu in ((5, "b", 0), (6, "a", 1), (7, "a", 0))
    }
    found = vcpu_timelines(make_trace(), {**threads, 8: vcpu_thread(8).__class__(8, "a", "emulator")})
    assert [(one.node, one.vcpu, one.tid) for one in found] == [("a", 0, 7), ("a", 1, 6), ("b", 0, 5)]


def test_who_runs_on_a_pcpu_that_was_never_traced_is_nobody() -> None:
    runners = Runners(make_trace(switched=[(50, 0, HOG, 1, ME)]).switches)
    at = np.array([10, 50, 50], dtype=np.int64)
    assert runners.at(np.array([0, 0, 3], dtype=np.int32), at).tolist() == [HOG, ME, -1]
