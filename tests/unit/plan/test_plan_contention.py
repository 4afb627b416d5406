# SPDX-License-Identifier: GPL-2.0-only
"""From loads, weights and quotas to predicted steal."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.plan.contention import Contender, GuestLoad, predict_shares, predict_steal_pct, vcpu_demands


def busy(*pins: tuple[int, ...], weight: int = 100, cap: float = 1.0) -> Contender:
    return Contender(pins, (1.0,) * len(pins), weight, cap)


@pytest.mark.parametrize(
    ("vcpus", "loads", "expected"),
    [
        (2, [], (0, 0)),
        (2, [GuestLoad(2)], (1, 1)),
        (2, [GuestLoad(5)], (1, 1)),
        (4, [GuestLoad(1)], (0.25,) * 4),
        (4, [GuestLoad(2), GuestLoad(1)], (0.75,) * 4),
        (3, [GuestLoad(1, (2,))], (0, 0, 1)),
        (3, [GuestLoad(4, (1, 2))], (0, 1, 1)),
        # The unpinned task goes where the pinned one is not.
        (2, [GuestLoad(1), GuestLoad(1, (0,))], (1, 1)),
        (3, [GuestLoad(1), GuestLoad(1, (0,))], (1, 0.5, 0.5)),
    ],
)
def test_demand_of_vcpus(vcpus: int, loads: list[GuestLoad], expected: tuple[float, ...]) -> None:
    assert vcpu_demands(vcpus, loads) == pytest.approx(expected)


@given(
    st.integers(1, 6),
    st.lists(
        st.builds(
            lambda tasks, vcpus: GuestLoad(tasks, tuple(sorted(vcpus))),
            st.integers(1, 8),
            st.frozensets(st.integers(0, 5)),
        )
    ),
)
def test_demand_is_bounded_by_tasks_and_by_vcpus(vcpus: int, loads: list[GuestLoad]) -> None:
    fitting = [load for load in loads if all(vcpu < vcpus for vcpu in load.vcpus)]
    demands = vcpu_demands(vcpus, fitting)
    assert all(0 <= demand <= 1 for demand in demands)
    assert sum(demands) <= sum(load.tasks for load in fitting) + 1e-9
    for load in fitting:
        allowed = load.vcpus or range(vcpus)
        assert sum(demands[vcpu] for vcpu in allowed) >= min(load.tasks, len(allowed)) - 1e-9


@pytest.mark.parametrize(
    ("contenders", "expected"),
    [
        ([busy((0,)), busy((0,))], [[50], [50]]),
        ([busy((0,)), busy((0,)), busy((0,))], [[66.67]] * 3),
        ([busy((0,), weight=100), busy((0,), weight=300)], [[75], [25]]),
        ([busy((0,), (0,), (0,), (0,)), busy((1,))], [[75] * 4, [0]]),
        ([busy((0, 1), (0, 1), (0, 1), (0, 1))], [[50] * 4]),
        # A guest competes as one: two of its vCPUs on a pCPU share what one vCPU of the other gets.
        ([busy((0,), (0,)), busy((0,))], [[75, 75], [50]]),
        # Its weight is spread over its pCPUs, as calc_group_shares() does: 1/2 against 1.
        ([busy((0,), (1,)), busy((0,))], [[66.67, 0], [33.33]]),
        ([busy((0,), cap=0.25), busy((0,))], [[75], [25]]),
        ([busy((0,), cap=0.8), busy((0,))], [[50], [50]]),
    ],
)
def test_known_steal(contenders: list[Contender], expected: list[list[float]]) -> None:
    assert [list(steal) for steal in predict_steal_pct(contenders)] == expected


def test_idle_vcpus_have_no_prediction_and_take_nothing() -> None:
    idle = Contender(((0,), (0,)), (0.0, 0.0))
    assert predict_steal_pct([idle, busy((0,))]) == ((None, None), (0.0,))


contender_lists = st.lists(
    st.lists(
        st.tuples(
            st.frozensets(st.integers(0, 3), min_size=1, max_size=3).map(lambda pins: tuple(sorted(pins))),
            st.sampled_from([0.0, 0.3, 1.0]),
        ),
        min_size=1,
        max_size=4,
    ).map(lambda vcpus: Contender(tuple(pins for pins, _ in vcpus), tuple(demand for _, demand in vcpus))),
    min_size=1,
    max_size=5,
)


@given(contender_lists, st.sampled_from([150, 400, 10_000]))
@settings(max_examples=150, deadline=None)
def test_a_heavier_guest_loses_nothing_on_any_vcpu(contenders: list[Contender], weight: int) -> None:
    heavier = [replace(contenders[0], weight=weight), *contenders[1:]]
    before, after = predict_shares(contenders)[0], predict_shares(heavier)[0]
    assert all(new >= old - 1e-7 for old, new in zip(before, after, strict=True))


@given(contender_lists)
@settings(max_examples=100, deadline=None)
def test_shares_fit_on_the_host_and_leave_none_idle_alone(contenders: list[Contender]) -> None:
    shares = predict_shares(contenders)
    used = frozenset(pcpu for contender in contenders for pins in contender.pins for pcpu in pins)
    assert sum(map(sum, shares)) <= len(used) + 1e-7
    for contender, got in zip(contenders, shares, strict=True):
        for demand, share in zip(contender.demands, got, strict=True):
            assert (share > 0) == (demand > 0)
