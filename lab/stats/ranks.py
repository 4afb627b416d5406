# SPDX-License-Identifier: GPL-2.0-only
"""Rank tests, two-sided, exact for small samples also where values are equal.

scipy's exact Mann-Whitney and Wilcoxon tests take ties for distinct values, so the exact distribution given
the ties is counted here: by the shift algorithm of Streitberg and Roehmel (Exact distributions for
permutation and rank tests, Statistical Software Newsletter 12, 1986), on twice the midranks, which are whole
numbers. Large samples go to scipy.
"""

from __future__ import annotations

from collections.abc import Sequence

#: Up to so many values the distribution is counted; beyond that the normal approximation is good to three
#: digits.
EXACT_UP_TO = 50

#: A whole distribution is one large number with a slot for each sum: 50 values can be chosen from in 2^50
#: ways, so no slot overflows, and a shift moves all of them at once.
_SLOT_BITS = 64


def mann_whitney_p(first: Sequence[float], second: Sequence[float]) -> float | None:
    """How often two samples of one distribution differ as much or more in the sum of their ranks.

    Two-sided; the values that are equal share their mean rank. None where a sample is empty.
    """
    if not first or not second:
        return None
    if len(first) + len(second) > EXACT_UP_TO:
        from scipy.stats import mannwhitneyu

        return float(mannwhitneyu(first, second, method="asymptotic").pvalue)
    ranks = twice_midranks([*first, *second])
    counts = _sums_of_subsets(ranks, len(first))
    return _two_sided(counts, sum(ranks[: len(first)]))


def signed_rank_p(differences: Sequence[float]) -> float | None:
    """Wilcoxon's signed-rank test: how often signs thrown at random make a rank sum as far off or farther.

    Two-sided; differences of 0 are left out, as Wilcoxon did. 1.0 where all are 0, None where there are none.
    With n differences it can never be smaller than 2 / 2^n: five repeats cannot come below 0.0625.
    """
    if not differences:
        return None
    moved = [value for value in differences if value != 0]
    if not moved:
        return 1.0
    if len(moved) > EXACT_UP_TO:
        from scipy.stats import wilcoxon

        return float(wilcoxon(moved, method="auto").pvalue)
    ranks = twice_midranks([abs(value) for value in moved])
    counts = _sums_of_all_subsets(ranks)
    return _two_sided(counts, sum(rank for rank, value in zip(ranks, moved, strict=True) if value > 0))


def twice_midranks(values: Sequence[float]) -> list[int]:
    """Twice the rank of each value, from 1; equal values share the mean of their ranks."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0] * len(values)
    begin = 0
    while begin < len(order):
        end = begin
        while end < len(order) and values[order[end]] == values[order[begin]]:
            end += 1
        for place in order[begin:end]:
            ranks[place] = begin + 1 + end
        begin = end
    return ranks


def _sums_of_subsets(ranks: Sequence[int], size: int) -> list[int]:
    """How many subsets of `size` ranks have each sum."""
    ways = [1] + [0] * size
    for rank in ranks:
        for taken in range(size, 0, -1):
            ways[taken] += ways[taken - 1] << (rank * _SLOT_BITS)
    return _slots(ways[size], sum(ranks))


def _sums_of_all_subsets(ranks: Sequence[int]) -> list[int]:
    """How many subsets of any size have each sum."""
    ways = 1
    for rank in ranks:
        ways += ways << (rank * _SLOT_BITS)
    return _slots(ways, sum(ranks))


def _slots(ways: int, last: int) -> list[int]:
    data = ways.to_bytes((last + 1) * _SLOT_BITS // 8, "little")
    step = _SLOT_BITS // 8
    return [int.from_bytes(data[begin : begin + step], "little") for begin in range(0, len(data), step)]


def _two_sided(counts: Sequence[int], seen: int) -> float:
    """Twice the smaller tail, at most 1; exact until the division."""
    below, above = sum(counts[: seen + 1]), sum(counts[seen:])
    return min(1.0, 2 * min(below, above) / sum(counts))
