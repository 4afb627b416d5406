# SPDX-License-Identifier: GPL-2.0-only
"""The governor by steal: its order of cores, its steps, and what holds for every guest."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.govern.cores import Core, folding_order, make_cores, vcpus_of
from lab.govern.policy import Decision, StealRule, decide_by_steal, steal_ratio_pct

FOUR = make_cores(4, 1)


def rule(cores: tuple[Core, ...] = FOUR, **changes: object) -> StealRule:
    return StealRule(**{"cores": cores, "high_pct": 4.0, "low_pct": 1.5, **changes})  # type: ignore[arg-type]


@st.composite
def rules(draw: st.DrawFn) -> StealRule:
    threads = draw(st.integers(1, 3))
    count = draw(st.integers(1, 12))
    sizes = draw(st.lists(st.integers(1, 8), min_size=1, max_size=4))
    borders = [sum(sizes[:i]) * threads for i in range(len(sizes) + 1)]
    cells = [range(low, high) for low, high in pairwise(borders)]
    vcpus = count * threads
    low = draw(st.floats(0, 50))
    return StealRule(
        make_cores(vcpus, threads, cells),
        high_pct=low + draw(st.floats(0, 50)),
        low_pct=low,
        policy=draw(st.sampled_from(["last", "numa"])),
        min_vcpus=draw(st.integers(1, vcpus)),
    )


# ---- cores


def test_siblings_are_one_core_and_belong_to_the_cell_of_the_first() -> None:
    assert make_cores(4, 2, [(0, 1), (2, 3)]) == (Core((0, 1), 0), Core((2, 3), 1))
    assert make_cores(3, 1) == (Core((0,)), Core((1,)), Core((2,)))


def test_last_gives_up_the_highest_core_first_and_never_the_first() -> None:
    assert [core.vcpus for core in folding_order(make_cores(6, 2), "last")] == [(4, 5), (2, 3)]


def test_numa_takes_from_uneven_cells_in_proportion() -> None:
    cores = make_cores(9, 1, [range(3), range(3, 9)])  # without the first core: 2 and 6
    order = folding_order(cores, "numa")
    assert [core.vcpus[0] for core in order] == [8, 7, 2, 6, 5, 4, 1, 3]


@given(rules())
def test_every_beginning_of_the_numa_order_is_in_proportion(one: StealRule) -> None:
    order = folding_order(one.cores, "numa")
    sizes = Counter(core.cell for core in order)
    for taken in range(len(order) + 1):
        counts = Counter(core.cell for core in order[:taken])
        for cell, size in sizes.items():
            assert abs(counts[cell] - taken * size / len(order)) <= 1
    assert sorted(core.vcpus for core in order) == [core.vcpus for core in one.cores[1:]]


# ---- steps


def test_it_steps_down_one_core_at_a_time_until_the_first_is_left() -> None:
    folded, seen = frozenset[int](), []
    for _ in range(4):
        decision = decide_by_steal(rule(), folded, 50.0)
        folded = decision.folded
        seen.append((decision.action, sorted(folded), decision.bound))
    assert seen == [
        ("step-down", [3], False),
        ("step-down", [2, 3], False),
        ("step-down", [1, 2, 3], False),
        ("hold", [1, 2, 3], True),
    ]


def test_it_steps_up_in_the_reverse_order() -> None:
    assert decide_by_steal(rule(), frozenset({2, 3}), 0.0) == Decision("step-up", frozenset({3}))
    assert decide_by_steal(rule(), frozenset(), 0.0) == Decision("hold", frozenset(), bound=True)


@pytest.mark.parametrize(
    ("ratio_pct", "action"),
    [(4.01, "step-down"), (4.0, "hold"), (1.51, "hold"), (1.5, "step-up"), (0.0, "step-up")],
)
def test_the_thresholds_themselves(ratio_pct: float, action: str) -> None:
    assert decide_by_steal(rule(), frozenset({3}), ratio_pct).action == action


def test_min_vcpus_counts_vcpus_of_whole_cores() -> None:
    smt = rule(make_cores(6, 2), min_vcpus=3)
    assert decide_by_steal(smt, frozenset(), 50).folded == {4, 5}
    assert decide_by_steal(smt, frozenset({4, 5}), 50).bound


def test_what_somebody_else_folded_in_part_becomes_whole_cores() -> None:
    smt = rule(make_cores(6, 2))
    assert decide_by_steal(smt, frozenset({0, 3, 4, 5}), 50).folded == {2, 3, 4, 5}
    assert decide_by_steal(smt, frozenset({0, 3, 4, 5}), 0).folded == set()


@given(rules(), st.data())
def test_a_decision_is_always_a_legal_set(one: StealRule, data: st.DataObject) -> None:
    every = vcpus_of(one.cores)
    folded = frozenset(data.draw(st.sets(st.sampled_from(sorted(every)))))
    decision = decide_by_steal(one, folded, data.draw(st.floats(0, 100)))
    if decision.action == "hold":
        assert decision.folded == folded
        return
    assert decision.folded < every
    assert not decision.folded & set(one.cores[0].vcpus)
    assert all(decision.folded.issuperset(c.vcpus) or not decision.folded & set(c.vcpus) for c in one.cores)
    if decision.action == "step-down":
        assert len(every - decision.folded) >= one.min_vcpus


@given(rules(), st.lists(st.floats(0, 100), max_size=40))
def test_set_and_order_agree_whatever_is_seen(one: StealRule, ratios: list[float]) -> None:
    order, folded = folding_order(one.cores, one.policy), frozenset[int]()
    for ratio_pct in ratios:
        before, decision = folded, decide_by_steal(one, folded, ratio_pct)
        folded = decision.folded
        assert folded in [vcpus_of(order[:count]) for count in range(len(order) + 1)]
        steps = {"step-down": 1, "step-up": -1, "hold": 0}[decision.action]
        grown = [core for core in one.cores if folded.issuperset(core.vcpus)]
        had = [core for core in one.cores if before.issuperset(core.vcpus)]
        assert len(grown) - len(had) == steps


@given(rules(), st.data())
def test_constant_input_between_the_thresholds_never_moves_it(one: StealRule, data: st.DataObject) -> None:
    order = folding_order(one.cores, one.policy)
    folded = vcpus_of(order[: data.draw(st.integers(0, len(order)))])
    ratio_pct = data.draw(st.floats(one.low_pct, one.high_pct, exclude_min=one.low_pct < one.high_pct))
    decision = decide_by_steal(one, folded, ratio_pct)
    if ratio_pct > one.low_pct:
        assert decision == Decision("hold", folded)


@given(rules(), st.floats(0, 100))
def test_constant_input_comes_to_rest(one: StealRule, ratio_pct: float) -> None:
    folded, actions = frozenset[int](), []
    for _ in range(len(one.cores) + 2):
        decision = decide_by_steal(one, folded, ratio_pct)
        folded = decision.folded
        actions.append(decision.action)
    assert actions[-1] == "hold"
    assert len(set(actions) - {"hold"}) <= 1, "never down and up for the same input"


# ---- ratio


def test_ratio_is_of_elapsed_time_times_active_vcpus() -> None:
    before, after = {0: 0, 1: 5, 2: 100, 3: 0}, {0: 500, 1: 505, 2: 100, 3: 0}
    assert steal_ratio_pct(before, after, 1000) == 25.0


def test_a_vcpu_that_went_or_came_is_not_divided_by_nor_counted() -> None:
    assert steal_ratio_pct({0: 0, 1: 0}, {0: 500}, 1000) == 50.0
    assert steal_ratio_pct({0: 0}, {0: 500, 1: 9000}, 1000) == 25.0
    assert steal_ratio_pct({0: 700}, {0: 500}, 1000) == 0.0


def test_nothing_to_divide_by() -> None:
    assert steal_ratio_pct({0: 0}, {0: 1}, 0) is None
    assert steal_ratio_pct({}, {}, 1000) is None
