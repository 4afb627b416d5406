# SPDX-License-Identifier: GPL-2.0-only
"""A traced phase in a few numbers, from the events on."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from made_traces import make_trace, vcpu_thread

from lab.plan.labplan import HOST_SCOPE
from lab.trace.model import Thread, Trace
from lab.trace.summarise import build_window, summarise
from lab.trace.summary import HitBy, VcpuPreemptions

ME, RIVAL, HOG, BASH = 7, 8, 9, 20
THREADS = {
    ME: vcpu_thread(ME),
    RIVAL: vcpu_thread(RIVAL, "guest2"),
    HOG: Thread(HOG, "noisy", "thread 0"),
    10: Thread(10, "noisy", "thread 1"),
}
SWITCHED = [
    (10, 0, ME, 1, HOG),
    (30, 0, HOG, 1, ME),
    (40, 0, ME, 1, RIVAL),
    (45, 0, RIVAL, 1, ME),
    (50, 0, ME, 0, 0),
    (72, 0, 0, 1, ME),
    (80, 0, ME, 1, 10),
    (83, 0, 10, 0, ME),
    (90, 0, ME, 1, BASH),
]


def mine(host: Trace, guests: dict[str, Trace] | None = None) -> VcpuPreemptions:
    return summarise(build_window(host, guests or {}, THREADS)).vcpus[0]


def test_a_vcpus_states_are_summed_and_its_stretches_told() -> None:
    moved = [(55, ME, 0, 1), (60, RIVAL, 0, 1), (70, ME, 1, 0), (100, ME, 0, 1)]
    one = mine(make_trace(switched=SWITCHED, woken=[(60, ME, 0)], moved=moved, error_ns=3))
    assert (one.node, one.vcpu, one.phase, one.elapsed_ns) == ("guest1", 0, "contended", 100)
    assert (one.run_ns, one.preempted_ns, one.waking_ns, one.blocked_ns) == (40, 38, 12, 10)
    assert one.delay_ns == 50
    assert one.lengths_ns.tolist() == [3, 5, 20]
    assert one.latencies_ns.tolist() == [12]
    assert (one.migrations, one.error_ns, one.holders) == (2, 3, None)


def test_takers_are_summed_by_what_they_are() -> None:
    """Both threads of the hog are one; what the window cuts off counts with what lies in it."""
    one = mine(make_trace(switched=SWITCHED, names={BASH: "bash"}))
    assert one.by == (HitBy("hog noisy", 2, 23), HitBy("foreign bash", 1, 10), HitBy("guest2 vcpu 0", 1, 5))


def test_stretches_that_the_window_cuts_off_have_no_length() -> None:
    one = mine(make_trace(20, 95, switched=SWITCHED, woken=[(60, ME, 0)]))
    assert one.lengths_ns.tolist() == [3, 5]
    assert one.preempted_ns == 10 + 5 + 3 + 5


def test_what_is_lost_is_told_by_machine_and_what_is_damaged_is_a_doubt() -> None:
    host = make_trace(lost={0: 3, 1: 4}, damage=("cpu1.raw ends in a page",))
    guest = make_trace(node="guest1", lost={0: 0}, damage=("a time runs backwards",))
    seen = summarise(build_window(host, {"guest1": guest}, THREADS))
    assert seen.lost == {HOST_SCOPE: 7, "guest1": 0}
    assert seen.doubts == (
        "the host's trace: cpu1.raw ends in a page",
        "the trace of guest1: a time runs backwards",
    )


def test_guests_are_checked_and_asked_what_was_hit() -> None:
    host = make_trace(switched=SWITCHED, error_ns=1)
    guest = make_trace(
        node="guest1",
        switched=[(5, 0, 0, 1, 41)],
        marks=[(32, 0, 41, "pvlock hold spin 25")],
        moments=[(5, 0), (32, 0), (36, 0), (60, 0)],
        error_ns=2,
    )
    seen = summarise(build_window(host, {"guest1": guest}, THREADS))
    (physics,) = seen.physics
    assert (physics.node, physics.checked, physics.violations, physics.worst_ns) == ("guest1", 4, 1, 10)
    assert physics.error_ns == 3
    first, second = seen.vcpus
    assert first.holders is not None and (first.holders.told, first.holders.in_lock) == (4, 1)
    assert second.holders is None


def test_a_load_that_would_have_marked_its_holds_held_none_for_long() -> None:
    window = build_window(
        make_trace(switched=SWITCHED),
        {"guest1": make_trace(node="guest1", switched=[(5, 0, 0, 1, 41)])},
        THREADS,
    )
    assert summarise(window).vcpus[0].holders is None
    holders = summarise(window, marking=("guest1",)).vcpus[0].holders
    assert holders is not None and (holders.told, holders.in_lock) == (4, 0)


rows = st.lists(
    st.tuples(
        st.integers(0, 60),
        st.integers(0, 1),
        st.sampled_from((0, ME, RIVAL, HOG)),
        st.integers(0, 1),
        st.sampled_from((0, ME, RIVAL, HOG)),
    ).filter(lambda row: row[2] != row[4]),
    max_size=25,
)


@given(rows, st.lists(st.tuples(st.integers(0, 60), st.just(ME), st.integers(0, 1)), max_size=8))
@settings(deadline=None)
def test_sums_agree_with_each_other(switched: list[tuple[int, ...]], woken: list[tuple[int, ...]]) -> None:
    one = mine(make_trace(10, 50, switched=switched, woken=woken))
    known = one.run_ns + one.preempted_ns + one.waking_ns + one.blocked_ns
    assert known <= one.elapsed_ns == 40
    assert sum(hit.total_ns for hit in one.by) == one.preempted_ns
    assert sum(hit.count for hit in one.by) >= len(one.lengths_ns)
    assert one.lengths_ns.sum() <= one.preempted_ns and one.latencies_ns.sum() <= one.waking_ns
    assert np.all(np.diff(one.lengths_ns) >= 0)
