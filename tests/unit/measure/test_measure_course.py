# SPDX-License-Identifier: GPL-2.0-only
"""Steal over time, out of samples whose growth is known."""

from __future__ import annotations

import pytest

from lab.measure.boots import GuestBoot
from lab.measure.course import measure_courses, step_edges
from lab.measure.governed import NodeView
from lab.measure.hostside import VcpuThread
from lab.measure.probestream import Hello, ProbeStream, Sample
from lab.measure.series import Series
from lab.measure.streamwords import CpuTimes
from lab.measure.windows import ClockMatch

S = 1_000_000_000
OFFSET_NS = 100 * S


def sample(seq: int, t_ns: int, steal_ticks: int) -> Sample:
    times = CpuTimes(0, *(0,) * 7, steal_ticks, 0, 0)
    return Sample(seq, t_ns, t_ns, 0, seq, (times,))


def boot_of(first_s: int, last_s: int, ticks_per_s: int, drift: float = 0.0) -> GuestBoot:
    """A start with a sample each second from `first_s` to `last_s` of the host's clock less OFFSET_NS; its
    own clock gains `drift` of the time."""
    samples = [
        sample(second - first_s, round(second * S * (1 + drift)), (second - first_s) * ticks_per_s)
        for second in range(first_s, last_s + 1)
    ]
    hello = Hello("guest", 1000, 0, {"user_hz": "100"})
    start_ns, end_ns = first_s * S + OFFSET_NS - S // 2, last_s * S + OFFSET_NS + S // 2
    return GuestBoot(start_ns, end_ns, ProbeStream(hello, tuple(samples)), ProbeStream(None))


def view_of(*boots: GuestBoot, threads: dict[int, VcpuThread] | None = None, drift: float = 0.0) -> NodeView:
    def clock(t_ns: int) -> ClockMatch:
        return ClockMatch("guest1", OFFSET_NS - round((t_ns - OFFSET_NS) * drift), 0)

    return NodeView("guest1", boots, threads or {}, clock, lambda boot: clock(boot.start_ns))


def host(first_s: int, last_s: int, share: float) -> Series:
    """Run delay that grows by `share` of the time."""
    seconds = range(first_s, last_s + 1)
    return Series(
        tuple(second * S + OFFSET_NS for second in seconds),
        tuple((0, round((second - first_s) * S * share), 0, 0, 0) for second in seconds),
    )


def edges(first_s: int, last_s: int, steps: int) -> tuple[int, ...]:
    return step_edges(first_s * S + OFFSET_NS, last_s * S + OFFSET_NS, steps, 1)


def test_both_sides_are_told_step_by_step():
    threads = {0: VcpuThread(host(0, 20, 0.25))}
    (course,) = measure_courses([view_of(boot_of(0, 20, 50), threads=threads)], edges(2, 18, 8))
    assert (course.node, course.vcpu, len(course.guest_pct)) == ("guest1", 0, 8)
    assert course.guest_pct == pytest.approx([50.0] * 8)
    assert course.host_pct == pytest.approx([25.0] * 8)


def test_what_was_not_seen_is_not_made_up():
    threads = {0: VcpuThread(host(0, 10, 0.5))}
    (course,) = measure_courses([view_of(boot_of(4, 20, 50), threads=threads)], edges(0, 20, 10))
    assert course.guest_pct[:2] == (None, None)
    assert course.guest_pct[2:] == pytest.approx([50.0] * 8)
    assert course.host_pct == (*course.host_pct[:5], *(None,) * 5)
    assert None not in course.host_pct[:5]


def test_starts_of_a_guest_follow_each_other():
    threads = {0: VcpuThread(host(20, 30, 0.2), (host(0, 10, 0.1),))}
    boots = (boot_of(0, 10, 10), boot_of(20, 30, 20))
    (course,) = measure_courses([view_of(*boots, threads=threads)], edges(0, 30, 6))
    for side in (course.guest_pct, course.host_pct):
        assert side[:2] == pytest.approx([10.0] * 2)
        assert side[2:4] == (None, None)
        assert side[4:] == pytest.approx([20.0] * 2)


def test_a_clock_that_drifts_is_followed():
    """One that gains 1 % is a second ahead after 100 s: steal that begins there must not move."""
    boot = boot_of(0, 200, 0, drift=0.01)
    steps = tuple(sample(one.seq, one.t_ns, max(0, one.seq - 100) * 100) for one in boot.guest.samples)
    moved = GuestBoot(boot.start_ns, boot.end_ns, ProbeStream(boot.guest.hello, steps), boot.host)
    (course,) = measure_courses([view_of(moved, drift=0.01)], edges(90, 110, 20))
    assert course.guest_pct[:9] == pytest.approx([0.0] * 9, abs=1)
    assert course.guest_pct[11:] == pytest.approx([100.0] * 9, abs=2)


def test_a_guest_that_was_never_heard_has_its_host_side():
    silent = GuestBoot(0, 2**62, ProbeStream(None), ProbeStream(None))
    view = NodeView("guest1", (silent,), {3: VcpuThread(host(0, 10, 0.5))}, lambda _: None, lambda _: None)
    (course,) = measure_courses([view], edges(0, 10, 2))
    assert (course.vcpu, course.guest_pct, course.host_pct) == (3, (None, None), pytest.approx((50.0, 50.0)))


@pytest.mark.parametrize(
    ("length", "steps", "least", "expected"),
    [(100, 4, 1, 4), (100, 400, 25, 4), (10, 4, 25, 1), (0, 4, 1, 0)],
)
def test_steps_are_neither_too_many_nor_too_short(length, steps, least, expected):
    found = step_edges(1000, 1000 + length, steps, least)
    assert max(0, len(found) - 1) == expected
    assert measure_courses([], ()) == ()
