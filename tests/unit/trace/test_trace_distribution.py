# SPDX-License-Identifier: GPL-2.0-only
"""Lengths in a few numbers: by hand, against numpy and scipy, and whether intervals hold what they promise."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lab.trace.distribution import Bucket, distribution, histogram, percentile, rate_per_s, share_pct

lengths = st.lists(st.integers(0, 10**9), min_size=1, max_size=60).map(
    lambda values: np.sort(np.array(values, dtype=np.int64))
)


@given(lengths, st.floats(0.01, 0.99))
@settings(deadline=None)
def test_a_percentile_is_the_nearest_rank_within_its_interval(values: np.ndarray, share: float) -> None:
    seen = percentile(values, share)
    assert seen is not None
    assert seen.value == np.percentile(values, 100 * share, method="inverted_cdf")
    assert seen.low <= seen.value <= seen.high


@given(st.integers(1, 400), st.floats(0.02, 0.98), st.sampled_from((80.0, 95.0, 99.0)))
@settings(deadline=None)
def test_the_ranks_of_an_interval_are_the_nearest_that_leave_no_more_in_a_tail(
    count: int, share: float, confidence_pct: float
) -> None:
    tail = (1 - confidence_pct / 100) / 2
    seen = percentile(np.arange(1, count + 1, dtype=np.int64), share, confidence_pct)
    assert seen is not None
    below = stats.binom.cdf(np.arange(count + 1), count, share)
    assert seen.low == np.count_nonzero(below <= tail)
    assert seen.high == next((at + 1 for at in range(count) if below[at] >= 1 - tail), math.inf)


def test_intervals_hold_the_true_percentile_as_often_as_they_promise() -> None:
    """Of 600 samples of a skewed distribution; 95 % would be 570, with a standard deviation of 5."""
    random = np.random.default_rng(4)
    true = -1e6 * math.log(0.1)
    seen = [percentile(np.sort(random.exponential(1e6, 200).astype(np.int64)), 0.9) for _ in range(600)]
    held = sum(one is not None and one.low <= true <= one.high for one in seen)
    assert 555 <= held <= 595


def test_a_percentile_of_few_has_no_upper_end() -> None:
    few, enough = (percentile(np.arange(count, dtype=np.int64), 0.99) for count in (367, 368))
    assert few is not None and few.high == math.inf
    assert enough is not None and enough.high == 367
    assert percentile(np.empty(0, dtype=np.int64), 0.5) is None


def test_a_histogram_by_hand() -> None:
    seen = histogram(np.array([0, 999, 1000, 1999, 2000, 3999, 16_000, 31_999], dtype=np.int64))
    assert [(one.low_us, one.high_us, one.count) for one in seen] == [
        (0, 1, 2),
        (1, 2, 2),
        (2, 4, 2),
        (4, 8, 0),
        (8, 16, 0),
        (16, 32, 2),
    ]
    assert histogram(np.empty(0, dtype=np.int64)) == ()


@given(lengths)
@settings(deadline=None)
def test_a_histogram_has_every_length_in_its_bucket(values: np.ndarray) -> None:
    seen = histogram(values)
    assert sum(one.count for one in seen) == len(values)
    assert all(first.high_us == second.low_us for first, second in pairwise(seen))
    assert seen[0].count and seen[-1].count
    for one in seen:
        inside = (values >= 1000 * one.low_us) & (values < 1000 * one.high_us)
        assert np.count_nonzero(inside) == one.count


@pytest.mark.parametrize("count", [0, 1, 10, 5000])
def test_a_rate_has_the_exact_interval_of_a_poisson_count(count: int) -> None:
    seen = rate_per_s(count, 2_000_000_000)
    assert seen is not None and seen.value == count / 2
    assert stats.poisson.cdf(count, 2 * seen.high) == pytest.approx(0.025)
    assert (stats.poisson.sf(count - 1, 2 * seen.low) == pytest.approx(0.025)) if count else seen.low == 0
    assert rate_per_s(count, 0) is None


@pytest.mark.parametrize(("count", "of"), [(0, 10), (3, 10), (10, 10), (150, 20_000)])
def test_a_share_has_the_interval_of_scipy(count: int, of: int) -> None:
    seen = share_pct(count, of)
    exact = stats.binomtest(count, of).proportion_ci(0.95)
    assert seen is not None and seen.value == pytest.approx(100 * count / of)
    assert (seen.low, seen.high) == pytest.approx((100 * exact.low, 100 * exact.high))
    assert share_pct(0, 0) is None


def test_a_distribution_says_all_of_it() -> None:
    seen = distribution(np.array([1000, 2000, 5000], dtype=np.int64))
    assert (seen.count, seen.max_ns) == (3, 5000)
    assert seen.p50 is not None and (seen.p50.value, seen.p50.low, seen.p50.high) == (2000, 0, math.inf)
    assert seen.histogram == (Bucket(1, 2, 1), Bucket(2, 4, 1), Bucket(4, 8, 1))
    empty = distribution(np.empty(0, dtype=np.int64))
    assert (empty.count, empty.p50, empty.max_ns, empty.histogram) == (0, None, None, ())
