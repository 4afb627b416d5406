# SPDX-License-Identifier: GPL-2.0-only
"""Rank tests against scipy, printed tables, and every permutation there is."""

from __future__ import annotations

from itertools import combinations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lab.stats.ranks import mann_whitney_p, signed_rank_p, twice_midranks

distinct = st.lists(st.integers(-1000, 1000), min_size=2, max_size=14, unique=True)
few_values = st.lists(st.integers(0, 3), min_size=1, max_size=5)


def brute_mann_whitney(first: list[int], second: list[int]) -> float:
    """Twice the smaller tail of the rank sum over every way of dealing the ranks."""
    ranks = twice_midranks([*first, *second])
    seen = sum(ranks[: len(first)])
    sums = [sum(chosen) for chosen in combinations(ranks, len(first))]
    below, above = sum(one <= seen for one in sums), sum(one >= seen for one in sums)
    return min(1.0, 2 * min(below, above) / len(sums))


def brute_signed_rank(differences: list[int]) -> float:
    moved = [one for one in differences if one]
    if not moved:
        return 1.0
    ranks = twice_midranks([abs(one) for one in moved])
    seen = sum(rank for rank, one in zip(ranks, moved, strict=True) if one > 0)
    signs = product((0, 1), repeat=len(moved))
    sums = [sum(r for r, s in zip(ranks, sign, strict=True) if s) for sign in signs]
    below, above = sum(one <= seen for one in sums), sum(one >= seen for one in sums)
    return min(1.0, 2 * min(below, above) / len(sums))


@pytest.mark.parametrize(
    ("sizes", "p"),
    # Complete separation: one way in C(m + n, m) for either tail.
    [((3, 3), 2 / 20), ((4, 4), 2 / 70), ((5, 5), 2 / 252), ((10, 10), 2 / 184756), ((3, 5), 2 / 56)],
)
def test_samples_that_do_not_overlap_are_as_rare_as_tables_say(sizes: tuple[int, int], p: float) -> None:
    first, second = range(sizes[0]), range(100, 100 + sizes[1])
    assert mann_whitney_p(first, second) == pytest.approx(p)


@pytest.mark.parametrize(
    ("n", "statistic", "p"),
    # Exact two-sided probabilities of Wilcoxon's W, as printed in Siegel, Nonparametric Statistics, table G,
    # and its successors: W = 0 at n = 6 is the first below 0.05.
    [(5, 0, 0.0625), (6, 0, 0.03125), (8, 3, 0.0390625), (10, 8, 0.048828125), (10, 9, 0.064453125)],
)
def test_signed_ranks_are_as_rare_as_tables_say(n: int, statistic: int, p: float) -> None:
    """The negative differences have the ranks that make up `statistic`."""
    negative: set[int] = set()
    left = statistic
    for rank in range(n, 0, -1):
        if rank <= left:
            negative.add(rank)
            left -= rank
    assert signed_rank_p([-rank if rank in negative else rank for rank in range(1, n + 1)]) == pytest.approx(
        p
    )


@given(distinct, st.data())
@settings(deadline=None)
def test_without_ties_it_is_scipys_exact_test(values: list[int], data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(values) - 1))
    expected = stats.mannwhitneyu(values[:cut], values[cut:], method="exact").pvalue
    assert mann_whitney_p(values[:cut], values[cut:]) == pytest.approx(expected)


@given(few_values, few_values)
@settings(deadline=None)
def test_with_ties_it_counts_every_deal(first: list[int], second: list[int]) -> None:
    assert mann_whitney_p(first, second) == pytest.approx(brute_mann_whitney(first, second))


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=9))
@settings(deadline=None)
def test_signed_ranks_count_every_sign(differences: list[int]) -> None:
    assert signed_rank_p(differences) == pytest.approx(brute_signed_rank(differences))


@given(st.lists(st.integers(1, 10_000), min_size=3, max_size=20, unique=True), st.data())
@settings(deadline=None)
def test_signed_ranks_without_ties_are_scipys(sizes: list[int], data: st.DataObject) -> None:
    signs = data.draw(st.lists(st.sampled_from((-1, 1)), min_size=len(sizes), max_size=len(sizes)))
    differences = [size * sign for size, sign in zip(sizes, signs, strict=True)]
    assert signed_rank_p(differences) == pytest.approx(stats.wilcoxon(differences, method="exact").pvalue)


@settings(max_examples=20, deadline=None)
@given(st.integers(26, 60), st.integers(26, 60), st.integers(0, 30))
def test_large_samples_are_scipys_approximation(m: int, n: int, shift: int) -> None:
    first, second = [7 * one % 101 for one in range(m)], [5 * one % 97 + shift for one in range(n)]
    expected = stats.mannwhitneyu(first, second, method="asymptotic").pvalue
    assert mann_whitney_p(first, second) == pytest.approx(expected)


@pytest.mark.parametrize("shift", [0, 5, 15])
def test_counting_and_approximating_agree_where_they_meet(shift: int) -> None:
    first, second = [7 * one % 101 for one in range(25)], [5 * one % 97 + shift for one in range(25)]
    expected = stats.mannwhitneyu(first, second, method="asymptotic").pvalue
    assert mann_whitney_p(first, second) == pytest.approx(expected, abs=0.005)


def test_what_is_not_there_is_not_tested() -> None:
    assert mann_whitney_p([], [1.0]) is None
    assert signed_rank_p([]) is None
    assert signed_rank_p([0.0, 0.0]) == 1.0
    assert mann_whitney_p([1.0, 1.0], [1.0]) == 1.0


@given(few_values, few_values)
@settings(deadline=None)
def test_it_does_not_matter_who_is_first(first: list[int], second: list[int]) -> None:
    assert mann_whitney_p(first, second) == pytest.approx(mann_whitney_p(second, first))


def test_long_series_of_pairs_go_to_the_approximation() -> None:
    differences = [float((7 * one) % 61 - 20) for one in range(1, 61)]
    moved = [one for one in differences if one]
    assert signed_rank_p(differences) == pytest.approx(float(stats.wilcoxon(moved).pvalue))
