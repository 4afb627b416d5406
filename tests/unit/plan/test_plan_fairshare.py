# SPDX-License-Identifier: GPL-2.0-only
"""Fair shares: known cases, properties, and an oracle that tries every subset (Hall's condition)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.plan.fairshare import Claim, fair_shares
from lab.plan.flow import maximum_flow

PRECISION = 1e-7


def claim(pcpus: Sequence[int], weight: float = 1.0, limit: float = 1.0) -> Claim:
    return Claim(frozenset(pcpus), weight, limit)


@st.composite
def claim_lists(draw: st.DrawFn) -> list[Claim]:
    pcpus = st.frozensets(st.integers(0, 4), min_size=1, max_size=4)
    one = st.builds(
        Claim, pcpus, st.sampled_from([0.5, 1, 2, 3, 10]), st.sampled_from([0, 0.1, 0.25, 0.5, 1])
    )
    return draw(st.lists(one, min_size=1, max_size=7))


def subsets(count: int) -> Iterator[tuple[int, ...]]:
    return (chosen for size in range(1, count + 1) for chosen in combinations(range(count), size))


def reachable(claims: Sequence[Claim], chosen: Sequence[int]) -> int:
    return len(frozenset().union(*(claims[index].pcpus for index in chosen)))


def progressive_filling(claims: Sequence[Claim]) -> list[float]:
    """The definition, step by step: raise all levels together; whoever sits in a full subset stops there."""
    shares = [0.0] * len(claims)
    growing = {index for index, each in enumerate(claims) if each.limit > 0}
    while growing:
        level, stopped = min(_next_stops(claims, shares, growing), key=lambda stop: stop[0])
        for index in growing:
            shares[index] = min(claims[index].limit, level * claims[index].weight)
        growing -= stopped
    return shares


def _next_stops(
    claims: Sequence[Claim], shares: Sequence[float], growing: set[int]
) -> Iterator[tuple[float, set[int]]]:
    for index in growing:
        yield claims[index].limit / claims[index].weight, {index}
    for chosen in subsets(len(claims)):
        inside = growing & set(chosen)
        if inside:
            room = reachable(claims, chosen) - sum(shares[index] for index in set(chosen) - inside)
            yield max(0.0, room) / sum(claims[index].weight for index in inside), inside


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ([claim([0])], [1.0]),
        ([claim([0])] * 2, [1 / 2] * 2),
        ([claim([0])] * 3, [1 / 3] * 3),
        ([claim([0], 1), claim([0], 3)], [1 / 4, 3 / 4]),
        ([claim([0, 1])] * 4, [1 / 2] * 4),
        ([claim([0, 1])] * 3, [2 / 3] * 3),
        ([claim([0], limit=0.25), claim([0])], [0.25, 0.75]),
        ([claim([0]), claim([0]), claim([0, 1])], [0.5, 0.5, 1.0]),
        ([claim([0]), claim([0, 1]), claim([1, 2]), claim([2])], [3 / 4] * 4),
        ([claim([0]), claim([1], limit=0.0)], [1.0, 0.0]),
        # A heavy one that may go elsewhere leaves room; weight cannot make it more than one pCPU.
        ([claim([0, 1], 100), claim([0]), claim([0])], [1.0, 0.5, 0.5]),
    ],
)
def test_known_cases(claims: list[Claim], expected: list[float]) -> None:
    assert fair_shares(claims) == pytest.approx(expected)


@given(claim_lists())
@settings(max_examples=300, deadline=None)
def test_equals_progressive_filling(claims: list[Claim]) -> None:
    assert fair_shares(claims) == pytest.approx(progressive_filling(claims), abs=PRECISION)


@given(claim_lists())
@settings(max_examples=200, deadline=None)
def test_is_feasible(claims: list[Claim]) -> None:
    shares = fair_shares(claims)
    for share, each in zip(shares, claims, strict=True):
        assert -PRECISION <= share <= each.limit + PRECISION
    for chosen in subsets(len(claims)):
        assert sum(shares[index] for index in chosen) <= reachable(claims, chosen) + PRECISION


@given(claim_lists())
@settings(max_examples=200, deadline=None)
def test_is_work_conserving(claims: list[Claim]) -> None:
    """Whoever gets less than it wants sits in a subset that fills everything it may run on."""
    shares = fair_shares(claims)
    full = [
        set(chosen)
        for chosen in subsets(len(claims))
        if sum(shares[index] for index in chosen) >= reachable(claims, chosen) - PRECISION
    ]
    for index, each in enumerate(claims):
        assert shares[index] >= each.limit - PRECISION or any(index in chosen for chosen in full)


@given(claim_lists(), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_names_and_order_do_not_matter(claims: list[Claim], random: Random) -> None:
    order = list(range(len(claims)))
    random.shuffle(order)
    renamed = [
        replace(claims[index], pcpus=frozenset(7 - pcpu for pcpu in claims[index].pcpus)) for index in order
    ]
    shares = fair_shares(claims)
    assert fair_shares(renamed) == pytest.approx([shares[index] for index in order], abs=PRECISION)


@given(claim_lists(), st.sampled_from([1e-3, 0.5, 3, 1e4]))
@settings(max_examples=100, deadline=None)
def test_only_ratios_of_weights_matter(claims: list[Claim], factor: float) -> None:
    scaled = [replace(each, weight=each.weight * factor) for each in claims]
    assert fair_shares(scaled) == pytest.approx(fair_shares(claims), abs=PRECISION)


@given(claim_lists(), st.integers(0, 6), st.sampled_from([1.5, 4, 100]))
@settings(max_examples=200, deadline=None)
def test_more_weight_never_means_less(claims: list[Claim], which: int, factor: float) -> None:
    index = which % len(claims)
    heavier = list(claims)
    heavier[index] = replace(claims[index], weight=claims[index].weight * factor)
    assert fair_shares(heavier)[index] >= fair_shares(claims)[index] - PRECISION


@pytest.mark.parametrize(
    "wrong", [claim([]), claim([0], weight=0), claim([0], limit=1.5), claim([0], limit=-1)]
)
def test_refuses_what_is_no_claim(wrong: Claim) -> None:
    with pytest.raises(ValueError, match="needs a pCPU"):
        fair_shares([wrong])


def test_a_chain_of_many_pin_sets() -> None:
    """A cascade 0, 0-1, 1-2, ... has one claim more than pCPUs: all lose alike, through 400 pCPUs."""
    length = 400
    claims = [claim([0]), *(claim([pcpu, pcpu + 1]) for pcpu in range(length - 1)), claim([length - 1])]
    assert fair_shares(claims) == pytest.approx([length / (length + 1)] * len(claims))


def test_flow_names_the_smallest_bottleneck() -> None:
    total, cut = maximum_flow([1.0, 1.0, 0.5], [[0], [0], [1]], [1.0, 1.0])
    assert total == pytest.approx(1.5)
    assert cut == {0, 1}


def test_flow_reroutes() -> None:
    total, cut = maximum_flow([1.0, 1.0], [[0, 1], [0]], [1.0, 1.0])
    assert total == pytest.approx(2.0)
    assert cut == frozenset()
