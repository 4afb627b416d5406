# SPDX-License-Identifier: GPL-2.0-only
"""A pattern that was planted is found, with its period and length; what has none is not called periodic."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from made_traces import MS, make_trace, vcpu_thread

from lab.trace.model import Thread, TracedWindow
from lab.trace.pattern import find_bursts, find_patterns
from lab.trace.summarise import build_window
from lab.trace.summary import TakerPattern
from lab.trace.timeline import Runners, thread_stretches

VCPU, HOG, BASH = 7, 9, 20
THREADS = {VCPU: vcpu_thread(VCPU), HOG: Thread(HOG, "noisy", "thread 0")}
Bursts = Sequence[tuple[float, float]]


def window(bursts: Bursts, tid: int = HOG, end_ms: int = 3000) -> TracedWindow:
    """A vCPU that always runs, but in `bursts`, pairs of begin and end in ms."""
    switched = [(int(begin * MS), 0, VCPU, 1, tid) for begin, _ in bursts]
    switched += [(int(end * MS), 0, tid, 0, VCPU) for _, end in bursts]
    host = make_trace(0, end_ms * MS, switched=switched, names={BASH: "bash"})
    return build_window(host, {}, THREADS)


def only(window: TracedWindow) -> TakerPattern:
    (one,) = find_patterns(window)
    return one


def test_twenty_of_each_hundred_ms_is_found() -> None:
    one = only(window([(at, at + 20) for at in range(5, 2900, 100)]))
    assert (one.taker, one.tid, one.bursts, one.periodic) == ("hog noisy", HOG, 29, True)
    assert (one.period_ns, one.length_ns, one.run_ns) == (100 * MS, 20 * MS, 20 * MS)
    assert (one.period_spread_ns, one.length_spread_ns) == (0, 0)


def test_it_is_found_among_noise_too() -> None:
    random = np.random.default_rng(2)
    begins = 5 + 100 * np.arange(29) + random.normal(0, 1, 29)
    one = only(window([(begin, begin + 20 + random.normal(0, 0.5)) for begin in begins]))
    assert one.periodic
    assert one.period_ns == pytest.approx(100 * MS, abs=MS)
    assert one.length_ns == pytest.approx(20 * MS, abs=MS)
    assert 0 < one.length_spread_ns < MS < 3 * one.period_spread_ns


def test_what_comes_at_random_is_not_periodic() -> None:
    begins = np.cumsum(np.random.default_rng(2).exponential(30, 60) + 2)
    one = only(window([(begin, begin + 1) for begin in begins]))
    assert one.bursts >= 50 and not one.periodic


def test_others_than_the_labs_threads_are_found_by_what_they_take() -> None:
    one = only(window([(at, at + 2) for at in range(5, 2900, 50)], tid=BASH))
    assert (one.taker, one.period_ns, one.length_ns) == ("foreign bash", 50 * MS, 2 * MS)


def test_few_bursts_are_no_pattern() -> None:
    assert not find_patterns(window([(at, at + 20) for at in range(5, 405, 100)]))


def bursts_of(switched: list[tuple[int, ...]]) -> list[tuple[int, int, int]]:
    host = make_trace(0, 1000 * MS, switched=switched)
    seen = find_bursts(thread_stretches(host, HOG, Runners(host.switches)))
    columns = (seen.begin_ns, seen.end_ns, seen.run_ns)
    return list(zip(*((column // MS).tolist() for column in columns), strict=True))


def test_a_burst_goes_on_while_it_is_preempted_itself() -> None:
    switched = [
        (5 * MS, 0, HOG, 0, 0),
        (100 * MS, 0, VCPU, 1, HOG),
        (106 * MS, 0, HOG, 1, VCPU),
        (110 * MS, 0, VCPU, 1, HOG),
        (120 * MS, 0, HOG, 0, VCPU),
    ]
    assert bursts_of(switched) == [(100, 120, 16)]


def test_bursts_cut_off_by_the_window_do_not_count() -> None:
    switched = [
        (5 * MS, 0, HOG, 0, VCPU),
        (50 * MS, 0, VCPU, 1, HOG),
        (60 * MS, 0, HOG, 0, VCPU),
        (990 * MS, 0, VCPU, 1, HOG),
    ]
    assert bursts_of(switched) == [(50, 60, 10)]


def test_a_short_wait_does_not_end_a_burst() -> None:
    switched = [
        (5 * MS, 0, HOG, 0, VCPU),
        (50 * MS, 0, VCPU, 1, HOG),
        (55 * MS, 0, HOG, 0, VCPU),
        (55 * MS + 400_000, 0, VCPU, 1, HOG),
        (60 * MS, 0, HOG, 0, VCPU),
        (61 * MS, 0, VCPU, 1, HOG),
        (64 * MS, 0, HOG, 0, VCPU),
    ]
    assert bursts_of(switched) == [(50, 60, 9), (61, 64, 3)]


def test_a_thread_without_events_has_no_bursts() -> None:
    assert bursts_of([]) == []
