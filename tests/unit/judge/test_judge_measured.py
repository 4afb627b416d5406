# SPDX-License-Identifier: GPL-2.0-only
"""Measured values as a test compares them."""

from __future__ import annotations

import operator
from dataclasses import replace

import pytest
from judging import make_measurements, make_plan, make_vcpu, with_phase_doubt, with_vcpu

from lab.errors import UndecidedError
from lab.judge.evidence import Evidence
from lab.judge.measured import MeasuredPhase, Steal


def make_steal(guest_pct, host_pct, *doubts):
    return Steal(make_vcpu(guest_pct=guest_pct, host_pct=host_pct), 50.0, doubts, "last words")


def make_phase(measurements=None, phase="contended"):
    return MeasuredPhase(
        phase, Evidence(make_plan(), measurements or make_measurements()), {"guest1": "tail"}
    )


@pytest.mark.parametrize(
    ("compare", "bound", "held"),
    [
        (operator.lt, 51, True),
        (operator.lt, 49, False),
        (operator.gt, 49.5, True),
        (operator.gt, 51, False),
        (operator.le, 50.5, True),
        (operator.ge, 49.8, True),
    ],
)
def test_both_sides_must_hold(compare, bound, held):
    assert compare(make_steal(49.8, 50.1), bound) is held


@pytest.mark.parametrize("compare", [operator.lt, operator.le, operator.gt, operator.ge])
@pytest.mark.parametrize("sides", [(49.8, 50.1), (50.1, 49.8)])
def test_a_bound_between_the_sides_decides_nothing(compare, sides):
    with pytest.raises(UndecidedError, match="one side of the VM boundary only"):
        compare(make_steal(*sides), 50)


@pytest.mark.parametrize(
    ("steal", "reason"),
    [
        (make_steal(50, 50, "too short", "dropped"), "too short; dropped"),
        (make_steal(None, 50), "guest's steal column was not seen"),
        (make_steal(50, None), "run delay on the host was not seen"),
    ],
)
def test_a_doubted_window_decides_nothing(steal, reason):
    for compare in (operator.lt, operator.gt):
        with pytest.raises(UndecidedError, match=reason):
            compare(steal, 99)


def test_a_number_on_the_left():
    assert 40 < make_steal(49.8, 50.1) < 60
    assert not make_steal(49.8, 50.1) > 60


def test_steal_against_steal():
    assert make_steal(3, 4) < make_steal(10, 9)
    assert not make_steal(10, 9) < make_steal(3, 4)
    with pytest.raises(UndecidedError):
        assert make_steal(3, 9) < make_steal(4, 4)
    with pytest.raises(UndecidedError, match="too short"):
        assert make_steal(3, 4) < make_steal(10, 9, "too short")


@pytest.mark.parametrize("number", [50, 50.0, 0, True])
def test_equality_with_a_number_is_a_mistake(number):
    with pytest.raises(TypeError, match="compare it with"):
        assert make_steal(50, 50) == number
    with pytest.raises(TypeError, match="compare it with"):
        assert make_steal(50, 50) != number


def test_a_text_is_no_bound():
    with pytest.raises(TypeError):
        assert make_steal(1, 1) < "5"  # type: ignore[operator]


def test_the_explanation():
    assert make_steal(49.8, 50.1).explain() == (
        "steal of guest1 vcpu 0 in phase contended: guest 49.8 %, host 50.1 % (20.0 s)",
        "predicted with all load running: 50.0 %",
        "the sides are 0.30 % apart",
        "the console of guest1 ends:",
        "  last words",
    )


def test_a_phase_gives_steal_with_prediction_doubts_and_console():
    steal = make_phase().steal("guest1", 0)
    assert (steal.guest_pct, steal.host_pct, steal.predicted_pct, steal.console_tail) == (
        49.8,
        50.1,
        50.0,
        "tail",
    )
    assert len(make_phase().steals) == 4
    doubted = make_phase(with_phase_doubt(make_measurements(), "contended", "host disturbed"))
    with pytest.raises(UndecidedError, match="host disturbed"):
        assert doubted.steal("guest1", 0) < 99


def test_a_vcpu_that_was_not_seen_decides_nothing():
    measured = make_measurements()
    without = replace(measured, vcpus=tuple(one for one in measured.vcpus if one.node != "guest1"))
    with pytest.raises(UndecidedError, match="guest1 vcpu 0 was not seen"):
        assert make_phase(without).steal("guest1", 0) < 99


def test_a_vcpu_that_no_plan_has():
    with pytest.raises(KeyError):
        make_phase().steal("guest1", 7)
    with pytest.raises(KeyError):
        make_phase().steal("guest7", 0)


def test_throughput_is_the_sum_over_all_tasks():
    assert make_phase().throughput("busy") == pytest.approx(4 * 6000 / 20)


def test_throughput_of_too_few_tasks_decides_nothing():
    measured = make_measurements()
    fewer = replace(measured, tasks=measured.tasks[1:])
    with pytest.raises(UndecidedError, match="busy task 0 on guest1 was not seen"):
        make_phase(fewer).throughput("busy")


def test_preemptions_are_per_second():
    found = make_phase().preemptions("guest1", 0)
    assert (found.involuntary_switches, found.slices) == (120, 250)
    assert (found.kvm_preemption_reported, found.kvm_preemption_other) == (100, 20)


def test_preemptions_of_a_doubted_window_decide_nothing():
    doubted = with_vcpu(make_measurements(), make_vcpu(doubts=("samples dropped",)))
    with pytest.raises(UndecidedError, match="samples dropped"):
        make_phase(doubted).preemptions("guest1", 0)


def test_affinities():
    assert make_phase().affinities("busy")["guest2", 1] == ("0-1",)
    assert make_phase().affinities("nothing") == {}
