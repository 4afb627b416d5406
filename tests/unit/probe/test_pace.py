# SPDX-License-Identifier: GPL-2.0-only
"""The pace of tasks with a duty, in simulated time: alone, beside others, starved, and told another duty."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

SOURCE = Path(__file__).parents[3] / "images/probe/pace.c"
MS = 1_000_000
UNIT_NS = 50_000
#: What rests, units and the clock's steps may shift at the edges of a stretch.
EDGE_NS = 2 * UNIT_NS


class Pace(ctypes.Structure):
    _fields_ = (
        ("clock_ns", ctypes.c_uint64),
        ("run_ns", ctypes.c_uint64),
        ("credit_ns", ctypes.c_double),
        ("duty", ctypes.c_double),
        ("resting", ctypes.c_bool),
    )


Rest = Callable[[Pace, int, int, int, int], int]


@pytest.fixture(scope="session")
def pace_rest(tmp_path_factory: pytest.TempPathFactory) -> Rest:
    library = tmp_path_factory.mktemp("pace") / "pace.so"
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", str(library), str(SOURCE)], check=True, timeout=60)
    function = ctypes.CDLL(str(library)).pace_rest
    function.restype = ctypes.c_uint64
    function.argtypes = [ctypes.POINTER(Pace), *[ctypes.c_uint64] * 2, ctypes.c_uint32, ctypes.c_uint64]
    return lambda pace, clock, run, duty, period: int(function(ctypes.byref(pace), clock, run, duty, period))


class Task:
    """A task in simulated time. It gets `share` of a CPU while it wants one, and wakes up when its duty changes."""

    def __init__(self, rest: Rest, period_ns: int = 10 * MS) -> None:
        self._rest, self._period_ns, self._pace = rest, period_ns, Pace()
        self.clock_ns, self.run_ns, self.bursts = 1_000, 0, 0
        self._working = False

    def go(self, length_ns: int, duty_pct: float, share: float = 1.0) -> float:
        """Let time pass; returns the part of it that the task ran for, in per cent."""
        begin_ns, ran_ns = self.clock_ns, self.run_ns
        while self.clock_ns < begin_ns + length_ns:
            rest_ns = self._rest(
                self._pace, self.clock_ns, self.run_ns, round(duty_pct * 10_000), self._period_ns
            )
            self.bursts += bool(self._working and rest_ns)
            self._working = rest_ns == 0
            end_ns = begin_ns + length_ns
            self.clock_ns += min(rest_ns, end_ns - self.clock_ns) or round(UNIT_NS / share)
            self.run_ns += 0 if rest_ns else UNIT_NS
        return 100 * (self.run_ns - ran_ns) / (self.clock_ns - begin_ns)


@given(duty_pct=st.floats(1, 99), period_ms=st.sampled_from([5, 10, 100]))
@settings(max_examples=40, deadline=None)
def test_alone_it_runs_for_its_duty(pace_rest: Rest, duty_pct: float, period_ms: int) -> None:
    task = Task(pace_rest, period_ms * MS)
    assert task.go(5_000 * MS, duty_pct) == pytest.approx(duty_pct, abs=1.0)


def test_a_burst_comes_once_a_period(pace_rest: Rest) -> None:
    for period_ms, duty_pct in ((10, 10), (10, 50), (100, 30), (500, 50)):
        task = Task(pace_rest, period_ms * MS)
        task.go(10_000 * MS, duty_pct)
        assert task.bursts == pytest.approx(10_000 / period_ms, rel=0.1)


@given(duty_pct=st.floats(1, 100), share=st.floats(0.05, 1.0))
@settings(max_examples=40, deadline=None)
def test_beside_others_it_gets_its_duty_or_its_share(pace_rest: Rest, duty_pct: float, share: float) -> None:
    expected = min(duty_pct, 100 * share)
    assert Task(pace_rest).go(5_000 * MS, duty_pct, share) == pytest.approx(expected, abs=1.5)


def test_the_ends_of_the_range(pace_rest: Rest) -> None:
    assert Task(pace_rest).go(1_000 * MS, 100) == pytest.approx(100)
    assert Task(pace_rest).go(1_000 * MS, 0) == 0


def test_another_duty_is_taken_at_once(pace_rest: Rest) -> None:
    task = Task(pace_rest)
    for duty_pct in (10, 100, 0, 50, 5):
        task.go(50 * MS, duty_pct)
        assert task.go(1_000 * MS, duty_pct) == pytest.approx(duty_pct, abs=2)


def test_bursts_are_whole_and_come_when_they_are_due(pace_rest: Rest) -> None:
    """Nothing wakes it up between two of them, and they do not drift."""
    pace, clock_ns, run_ns = Pace(), 1_000, 0
    bursts: list[tuple[int, int]] = []
    for _ in range(50):
        clock_ns += pace_rest(pace, clock_ns, run_ns, 200_000, 100 * MS)
        begin_ns = clock_ns
        while not pace_rest(pace, clock_ns, run_ns, 200_000, 100 * MS):
            clock_ns, run_ns = clock_ns + UNIT_NS, run_ns + UNIT_NS
        bursts.append((begin_ns, clock_ns - begin_ns))
    apart = [later - earlier for (earlier, _), (later, _) in pairwise(bursts)]
    assert all(abs(ran_ns - 20 * MS) <= EDGE_NS for _, ran_ns in bursts)
    assert all(abs(ns - 100 * MS) <= 5 * EDGE_NS for ns in apart)
    assert sum(apart) / len(apart) == pytest.approx(100 * MS, rel=0.005)


def test_time_counts_by_the_duty_that_it_passed_with(pace_rest: Rest) -> None:
    """A task that rested for minutes, because it was told so, has nothing to make up for."""
    task = Task(pace_rest)
    task.go(60_000 * MS, 0)
    assert task.go(100 * MS, 20) == pytest.approx(20, abs=3)


def test_a_starved_task_makes_up_for_ten_periods_and_no_more(pace_rest: Rest) -> None:
    task = Task(pace_rest)
    task.go(60_000 * MS, 20, share=0.001)
    before_ns = task.run_ns
    task.go(2_000 * MS, 20)
    extra_ns = task.run_ns - before_ns - 400 * MS
    assert 15 * MS < extra_ns <= 20 * MS + EDGE_NS
