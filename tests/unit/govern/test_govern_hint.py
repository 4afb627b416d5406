# SPDX-License-Identifier: GPL-2.0-only
"""The host hint: legal, fair, one busy vCPU on a pCPU where that can be, at rest for a constant load."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from lab.govern.cores import make_cores, vcpus_of
from lab.govern.hint import HintGuest, busy_shares, folded_by_hint, plan_hint, wanted_vcpus, with_busy


def guest(pins: list[tuple[int, ...]], busy: float = 1.0, threads: int = 1, **more: object) -> HintGuest:
    return HintGuest(
        make_cores(len(pins), threads),
        dict(enumerate(pins)),
        dict.fromkeys(range(len(pins)), busy),
        **more,  # type: ignore[arg-type]
    )


SPREAD: list[tuple[int, ...]] = [(0,), (1,), (0,), (1,)]


def test_two_spread_guests_get_a_pcpu_each() -> None:
    assert plan_hint({"a": guest(SPREAD), "b": guest(SPREAD)}) == {"a": {0}, "b": {1}}


def test_floating_vcpus_keep_their_first() -> None:
    floating = guest([(0, 1)] * 4)
    assert plan_hint({"a": floating, "b": floating}) == {"a": {0}, "b": {0}}


def test_an_idle_guest_leaves_its_part_and_is_ready_to_wake() -> None:
    hint = plan_hint({"a": guest(SPREAD), "b": guest(SPREAD, busy=0.0)})
    assert hint["a"] == {0, 1}
    assert len(hint["b"]) == 1


def test_where_the_first_core_must_stay_it_stays() -> None:
    kept = guest(SPREAD, keep_first=True)
    hint = plan_hint({"a": kept, "b": kept})
    assert 0 in hint["a"] and 0 in hint["b"]


def test_a_guest_moves_to_another_vcpu_to_make_room() -> None:
    """`a` would take pCPU 0 with its vCPU 0, but `b` has nowhere else to go."""
    hint = plan_hint({"a": guest([(0,), (1,)]), "b": guest([(0,), (0,)])})
    assert hint == {"a": {1}, "b": {0}}


def test_shares_go_by_weight() -> None:
    pins: list[tuple[int, ...]] = [(n,) for n in range(6)]
    hint = plan_hint({"a": guest(pins, weight=200), "b": guest(pins, weight=100)})
    assert {name: len(used) for name, used in hint.items()} == {"a": 4, "b": 2}


def test_siblings_stay_together() -> None:
    pins: list[tuple[int, ...]] = [(n,) for n in range(4)]
    hint = plan_hint({"a": guest(pins, threads=2), "b": guest(pins, threads=2)})
    assert hint == {"a": {0, 1}, "b": {2, 3}}


def test_more_guests_than_pcpus_share_as_evenly_as_they_can() -> None:
    names = "abcde"
    hint = plan_hint({name: guest(SPREAD) for name in names})
    assert all(len(used) == 1 for used in hint.values())
    load = Counter(vcpu % 2 for used in hint.values() for vcpu in used)
    assert sorted(load.values()) == [2, 3]


def test_min_vcpus_is_kept() -> None:
    hint = plan_hint({"a": guest(SPREAD, min_vcpus=2), "b": guest(SPREAD)})
    assert len(hint["a"]) == 2


def test_wanted() -> None:
    four = guest(SPREAD)
    assert wanted_vcpus(with_busy(four, {0: 0.05})) == 0
    assert wanted_vcpus(with_busy(four, {0: 0.5})) == 1
    assert wanted_vcpus(with_busy(four, {0: 1.0})) == 2
    assert wanted_vcpus(with_busy(four, {0: 1.0, 1: 1.0, 2: 0.3})) == 3
    assert wanted_vcpus(four) == 4


def test_busy_is_run_and_delay_over_elapsed() -> None:
    assert busy_shares({0: (100, 0, 0)}, {0: (200, 40, 30)}) == {0: 0.7}
    assert busy_shares({0: (100, 0, 0)}, {0: (200, 90, 30)}) == {0: 1.0}
    assert busy_shares({0: (100, 0, 0)}, {0: (100, 0, 0)}) is None
    assert busy_shares({}, {0: (100, 0, 0)}) is None


# ---- for all


@st.composite
def guests(draw: st.DrawFn, max_threads: int = 2) -> dict[str, HintGuest]:
    pcpus = draw(st.integers(1, 5))
    pin = st.sets(st.integers(0, pcpus - 1), min_size=1).map(lambda one: tuple(sorted(one)))
    result = {}
    for name in "abcd"[: draw(st.integers(1, 4))]:
        threads = draw(st.integers(1, max_threads))
        vcpus = threads * draw(st.integers(1, 3))
        result[name] = HintGuest(
            make_cores(vcpus, threads),
            {vcpu: draw(pin) for vcpu in range(vcpus)},
            {vcpu: draw(st.sampled_from([0.0, 0.4, 1.0])) for vcpu in range(vcpus)},
            weight=draw(st.sampled_from([50, 100, 200])),
            min_vcpus=draw(st.integers(1, vcpus)),
            keep_first=draw(st.booleans()),
        )
    return result


@given(guests())
def test_a_hint_is_always_a_legal_set(those: dict[str, HintGuest]) -> None:
    for name, used in plan_hint(those).items():
        one = those[name]
        assert len(used) >= one.min_vcpus
        assert used <= vcpus_of(one.cores)
        assert all(used.issuperset(core.vcpus) or not used & set(core.vcpus) for core in one.cores)
        assert not one.keep_first or used.issuperset(one.cores[0].vcpus)
        assert folded_by_hint(one, used) == vcpus_of(one.cores) - used


def can_be_apart(those: dict[str, HintGuest], used: dict[str, frozenset[int]]) -> bool:
    """Whether every used vCPU can have a pCPU of its own; by trying everything."""
    pins = [those[name].pcpus[vcpu] for name, vcpus in used.items() for vcpu in sorted(vcpus)]

    def fits(index: int, taken: frozenset[int]) -> bool:
        if index == len(pins):
            return True
        return any(fits(index + 1, taken | {pcpu}) for pcpu in pins[index] if pcpu not in taken)

    return fits(0, frozenset())


@settings(deadline=None, max_examples=200)
@given(guests(max_threads=1))
def test_capacity_is_never_exceeded_where_that_can_be_avoided(those: dict[str, HintGuest]) -> None:
    plain = {
        name: HintGuest(one.cores, one.pcpus, one.busy, one.weight)
        for name, one in those.items()
        if wanted_vcpus(one) > 0
    }
    hint = plan_hint(plain)
    one_each = _products([[frozenset({vcpu}) for vcpu in one.pcpus] for one in plain.values()])
    avoidable = any(can_be_apart(plain, dict(zip(plain, chosen, strict=True))) for chosen in one_each)
    if avoidable:
        assert can_be_apart(plain, hint)


def _products(choices: list[list[frozenset[int]]]) -> list[list[frozenset[int]]]:
    combined: list[list[frozenset[int]]] = [[]]
    for choice in choices:
        combined = [[*left, one] for left in combined for one in choice]
    return combined


@settings(deadline=None, max_examples=200)
@given(guests(max_threads=1))
def test_no_vcpu_that_is_wanted_and_fits_is_left_out(those: dict[str, HintGuest]) -> None:
    """Nothing could be added to anybody without taking something from somebody: not even by moving all."""
    plain = {
        name: HintGuest(one.cores, one.pcpus, one.busy, one.weight)
        for name, one in those.items()
        if wanted_vcpus(one) > 0
    }
    hint = plan_hint(plain)
    if not can_be_apart(plain, hint):
        return
    counts = {name: len(used) for name, used in hint.items()}
    for name, one in plain.items():
        if counts[name] < wanted_vcpus(one):
            more = {**counts, name: counts[name] + 1}
            chosen = _products(
                [
                    [frozenset(some) for some in combinations(plain[who].pcpus, many)]
                    for who, many in more.items()
                ]
            )
            assert not any(can_be_apart(plain, dict(zip(plain, sets, strict=True))) for sets in chosen)


@settings(deadline=None, max_examples=200)
@given(guests(), st.data())
def test_a_constant_load_comes_to_rest(those: dict[str, HintGuest], data: st.DataObject) -> None:
    """Busy tasks spread over the vCPUs that a guest uses: the hint settles, and soon."""
    tasks = {name: data.draw(st.integers(0, 5)) for name in those}
    used = {name: vcpus_of(one.cores) for name, one in those.items()}
    seen = []
    for _ in range(12):
        hint = plan_hint(
            {name: with_busy(one, _spread(tasks[name], used[name])) for name, one in those.items()}
        )
        used = hint
        seen.append(hint)
    assert seen[-1] == seen[-2] == seen[-3]


def _spread(tasks: int, used: frozenset[int]) -> dict[int, float]:
    """How busy each vCPU is with `tasks` busy tasks on those that are used."""
    return {vcpu: 1.0 if place < tasks else 0.0 for place, vcpu in enumerate(sorted(used))}
