# SPDX-License-Identifier: GPL-2.0-only
"""When a folded vCPU became quiet on the host, and which phase a fold belongs to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from measuring import MS, FakeEvent, S, World, plan_for

from lab.measure.derive import measure_recording
from lab.measure.foldings import (
    FOR_GOOD_NS,
    QUIET_PCT,
    FoldAct,
    fold_acts,
    measure_foldings,
    quiet_from,
)
from lab.measure.series import Series, series_of
from lab.measure.windows import ClockMatch, Folding
from lab.plan.labplan import LabPlan

INTERVAL_MS = 100


class Window:
    """A measured phase."""

    def __init__(self, name: str, start_s: float, end_s: float) -> None:
        self.name, self.start_ns, self.end_ns = name, round(start_s * S), round(end_s * S)


def running(share_at: Callable[[float], float], length_s: float = 30) -> Series:
    """Readings every 100 ms of a thread that runs `share_at` (time in s) of each interval."""
    readings, run_ns = [(0, (0,))], 0
    for number in range(round(length_s * 10)):
        run_ns += round(share_at(number / 10) * 100 * MS)
        readings.append(((number + 1) * 100 * MS, (run_ns,)))
    return series_of(readings)


def stops_at(end_s: float) -> Series:
    return running(lambda t_s: 0.5 if t_s < end_s else 0.01)


def fold(
    vcpus: str = "1", by: str = "mask", begin_s: float = 10.0, node: str = "guest1", **data: Any
) -> FakeEvent:
    t_ns = round(begin_s * S)
    about = {"fold": by, "fold_node": node, "fold_vcpus": vcpus, "node": node, "knob": "avoid_cpus"}
    times = {"host_t0_ns": t_ns, "host_t1_ns": t_ns + 400 * MS, "guest_t0_ns": 0}
    return FakeEvent(t_ns, "knob", {**about, **times, **data})


def no_clock(_node: str, _t_ns: int) -> None:
    return None


PHASES = (Window("before", 2, 9), Window("folded", 12, 19), Window("after", 22, 29))


def foldings(*events: FakeEvent, threads: dict[tuple[str, int], Series] | None = None) -> tuple[Folding, ...]:
    seen = {("guest1", 1): stops_at(10.4), ("guest2", 1): stops_at(10.4)} if threads is None else threads
    return measure_foldings(fold_acts(events, no_clock), PHASES, seen, INTERVAL_MS)


def test_the_effect_is_when_the_last_busy_interval_ended() -> None:
    (folding,) = foldings(fold())
    assert (folding.node, folding.vcpus, folding.mechanism, folding.phase) == (
        "guest1",
        (1,),
        "mask",
        "folded",
    )
    assert folding.effect_ns == 400 * MS
    assert folding.observed_ns == 9 * S
    assert not folding.doubts


def test_the_effect_is_that_of_the_slowest_vcpu() -> None:
    threads = {("guest1", 1): stops_at(10.4), ("guest1", 2): stops_at(11.1)}
    (folding,) = foldings(fold("1-2"), threads=threads)
    assert folding.effect_ns == 1100 * MS


def test_a_write_whose_time_is_only_known_to_the_host_adds_to_the_error() -> None:
    (folding,) = foldings(fold())
    assert folding.error_ns == (400 + INTERVAL_MS) * MS


def test_the_guests_clock_says_when_the_write_began() -> None:
    event = fold(guest_t0_ns=7 * S, host_t0_ns=10 * S, host_t1_ns=11 * S)
    acts = fold_acts([event], lambda node, _: ClockMatch(node, round(3.3 * S), 20 * MS))
    assert acts == (FoldAct("guest1", "mask", (1,), round(10.28 * S), 40 * MS),)


def test_a_clock_that_contradicts_the_host_is_not_believed() -> None:
    event = fold(guest_t0_ns=7 * S, host_t0_ns=10 * S, host_t1_ns=11 * S)
    (act,) = fold_acts([event], lambda node, _: ClockMatch(node, 20 * S, 20 * MS))
    assert (act.begin_ns, act.error_ns) == (10 * S, S)


def test_a_vcpu_that_never_became_quiet_had_no_effect() -> None:
    (folding,) = foldings(fold(), threads={("guest1", 1): running(lambda _: 0.5)})
    assert (folding.effect_ns, folding.doubts) == (None, ())


def test_a_vcpu_that_came_back_was_not_quiet_for_good() -> None:
    back = running(lambda t_s: 0.5 if t_s < 10.4 or 14 <= t_s < 15 else 0)
    (folding,) = foldings(fold(), threads={("guest1", 1): back})
    assert folding.effect_ns == 5 * S


def test_a_vcpu_that_comes_back_at_the_end_has_no_effect() -> None:
    back = running(lambda t_s: 0.5 if t_s < 10.4 or t_s >= 18 else 0)
    (folding,) = foldings(fold(), threads={("guest1", 1): back})
    assert folding.effect_ns is None


def test_a_loud_interval_alone_is_no_return() -> None:
    loud = running(lambda t_s: 0.5 if t_s < 10.4 else 0.4 if t_s in (10.6, 14) else 0)
    (folding,) = foldings(fold(), threads={("guest1", 1): loud})
    assert folding.effect_ns == 400 * MS


def test_what_runs_a_little_less_is_not_quiet_yet() -> None:
    fading = running(lambda t_s: 0.45 if t_s < 10.4 else 0.06 if t_s < 10.7 else 0)
    (folding,) = foldings(fold(), threads={("guest1", 1): fading})
    assert folding.effect_ns == 700 * MS


def test_a_time_slice_of_somebody_else_is_no_quiet() -> None:
    """Readings every 10 ms of a vCPU that runs every other 20 ms, until it is folded."""
    readings, run_ns = [(0, (0,))], 0
    for number in range(600):
        run_ns += 10 * MS if number < 100 and number % 4 < 2 else 0
        readings.append(((number + 1) * 10 * MS, (run_ns,)))
    assert quiet_from(series_of(readings), 0, 6 * S) == 980 * MS


@pytest.mark.parametrize(
    ("threads", "doubt"),
    [
        ({}, "the thread of vCPU 1 of guest1 was not seen while it was folded"),
        ({("guest1", 1): running(lambda _: 0.5, 15)}, "the thread of vCPU 1 of guest1 was not seen"),
        ({("guest1", 1): running(lambda _: 0.0)}, "vCPU 1 of guest1 was idle before it was folded"),
        (
            {("guest1", 1): series_of([(t * 2 * S, (t * S,)) for t in range(16)])},
            "the thread of vCPU 1 of guest1 was not read for 2000 ms",
        ),
    ],
)
def test_doubts(threads: dict[tuple[str, int], Series], doubt: str) -> None:
    (folding,) = foldings(fold(), threads=threads)
    assert folding.effect_ns is None
    assert folding.doubts[0].startswith(doubt)


def test_a_fold_that_is_replaced_at_once_is_doubted() -> None:
    first, second = foldings(fold(), fold("1", "hotplug", 11.5))
    assert first.doubts == ("vCPU 1 of guest1 was folded for 1.5 s only",)
    assert second.phase == "folded"


def test_baseline_and_unfolding() -> None:
    (folding,) = foldings(fold(), fold("", begin_s=20))
    assert (folding.baseline, folding.unfolded) == ("before", "after")


def test_what_stays_folded_has_no_phase_after() -> None:
    (folding,) = foldings(fold(), fold("", "hotplug", 20))
    assert folding.unfolded is None


def test_a_fold_before_the_first_phase_has_no_baseline() -> None:
    folding, again = foldings(fold(begin_s=1), fold(begin_s=20, by="hotplug"))
    assert (folding.phase, folding.baseline) == ("before", None)
    assert (again.phase, again.baseline) == ("after", None)


def test_a_fold_of_another_node_disqualifies_a_baseline() -> None:
    folding, later = foldings(fold(node="guest2"), fold(begin_s=20))
    assert later.baseline == folding.baseline == "before"


def test_what_is_folded_inside_of_a_window_is_left_out_and_spoils_it_as_a_baseline() -> None:
    events = [fold(begin_s=13), fold("", begin_s=14), fold(begin_s=20)]
    (folding,) = foldings(*events)
    assert (folding.phase, folding.baseline) == ("after", "before")


def test_what_is_folded_after_the_last_phase_is_left_out() -> None:
    assert foldings(fold(begin_s=29.5)) == ()


def test_several_writes_are_one_fold() -> None:
    events = [
        fold(by="weight", node="guest1", path=path, host_t0_ns=t * S) for path, t in (("a", 11), ("b", 10))
    ]
    (folding,) = foldings(*events)
    assert folding.begin_ns == 10 * S


def test_a_knob_that_folds_nothing_is_none() -> None:
    assert foldings(FakeEvent(10 * S, "knob", {"node": "guest1", "knob": "avoid_cpus", "fold": None})) == ()


SHARES = st.lists(st.integers(0, 100) | st.integers(0, 6), min_size=25, max_size=80)


@given(SHARES)
def test_after_the_effect_every_stretch_is_quiet(shares_pct: list[int]) -> None:
    series = running(lambda t_s: shares_pct[round(t_s * 10)] / 100, len(shares_pct) / 10)
    until_ns = series.times_ns[-1]
    quiet_ns = quiet_from(series, 0, until_ns)
    if quiet_ns is not None:
        starts = [t_ns for t_ns in series.times_ns if quiet_ns <= t_ns <= until_ns - FOR_GOOD_NS]
        assert starts
        for start_ns in starts:
            assert 100 * series.growth(start_ns, start_ns + FOR_GOOD_NS)[0] < QUIET_PCT * FOR_GOOD_NS


@given(SHARES)
def test_before_the_effect_something_was_busy(shares_pct: list[int]) -> None:
    """No earlier reading could have been taken for it."""
    series = running(lambda t_s: shares_pct[round(t_s * 10)] / 100, len(shares_pct) / 10)
    until_ns = series.times_ns[-1]
    quiet_ns = quiet_from(series, 0, until_ns)
    earlier = [t_ns for t_ns in series.times_ns if t_ns < (until_ns if quiet_ns is None else quiet_ns)]
    for t_ns in earlier:
        at_once = shares_pct[t_ns // (100 * MS)] >= QUIET_PCT
        later = (one for one in series.times_ns if t_ns <= one <= until_ns - FOR_GOOD_NS)
        returns = [100 * series.growth(one, one + FOR_GOOD_NS)[0] >= QUIET_PCT * FOR_GOOD_NS for one in later]
        assert at_once or any(returns) or not returns


def test_a_recording_has_them() -> None:
    world = World()
    before, after = world.phase_event("before", 2, 6), world.phase_event("folded", 10, 10)
    begin_ns = before.data["end_ns"] + S
    event = fold("0", host_t0_ns=begin_ns, host_t1_ns=begin_ns + 50 * MS, guest_t0_ns=0)
    plan: LabPlan = plan_for(world)
    measured = measure_recording(world.recording(before, event, after), plan)
    (folding,) = measured.foldings
    assert (folding.phase, folding.baseline, folding.effect_ns, folding.doubts) == (
        "folded",
        "before",
        None,
        (),
    )
    assert {task.affinities for task in measured.tasks} == {("0-1",)}
