# SPDX-License-Identifier: GPL-2.0-only
"""Summaries, effect sizes, t tests and Holm's correction against scipy and published figures."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lab.stats.change import Samples, change_of, difference_p, equivalence_p
from lab.stats.effect import cliffs_delta, hedges_g
from lab.stats.holm import adjust_holm
from lab.stats.summary import summarize

# Student's own data (The probable error of a mean, Biometrika 6, 1908): extra hours of sleep by two drugs.
SLEEP_1 = (0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0)
SLEEP_2 = (1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4)

values = st.lists(st.floats(1, 1000, allow_nan=False), min_size=2, max_size=12)


def test_a_sample_in_four_numbers() -> None:
    summary = summarize([1, 2, 3, 10])
    assert (summary.n, summary.mean, summary.median) == (4, 4.0, 2.5)
    assert summary.stdev == pytest.approx(4.0824829)


def test_samples_of_none_and_one() -> None:
    assert summarize([]).mean is None
    one = summarize([3.0])
    assert (one.mean, one.median, one.stdev) == (3.0, 3.0, None)


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_refused(odd: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        summarize([1.0, odd])
    with pytest.raises(ValueError, match="not finite"):
        Samples((1.0, odd), (1.0, 2.0))
    with pytest.raises(ValueError, match="not finite"):
        Samples((1.0, 2.0), (odd,))


def test_pairs_need_partners() -> None:
    with pytest.raises(ValueError, match="do not make pairs"):
        Samples((1.0, 2.0), (1.0,), paired=True)


def test_students_sleep_paired() -> None:
    """t = 4.0621, 9 degrees of freedom."""
    assert difference_p(Samples(SLEEP_1, SLEEP_2, True, "points")) == pytest.approx(0.002833, abs=1e-6)


def test_students_sleep_by_welch() -> None:
    """t = 1.8608, 17.776 degrees of freedom."""
    assert difference_p(Samples(SLEEP_1, SLEEP_2, False, "points")) == pytest.approx(0.07939, abs=1e-5)


@given(values, values)
@settings(deadline=None)
def test_unpaired_p_is_scipys_welch(first: list[float], second: list[float]) -> None:
    if len(set(first)) < 2 and len(set(second)) < 2:
        return
    expected = stats.ttest_ind(second, first, equal_var=False).pvalue
    assert difference_p(Samples(tuple(first), tuple(second))) == pytest.approx(expected, rel=1e-6, abs=1e-12)


@given(values, st.floats(0.5, 8))
@settings(deadline=None)
def test_sameness_is_two_one_sided_t_tests(first: list[float], bound: float) -> None:
    second = [value * 1.01 + place % 3 for place, value in enumerate(first)]
    if len(set(first)) < 2:
        return
    low, high = 1 - bound / 100, 1 + bound / 100
    above = stats.ttest_ind(second, [low * one for one in first], equal_var=False, alternative="greater")
    below = stats.ttest_ind(second, [high * one for one in first], equal_var=False, alternative="less")
    seen = equivalence_p(Samples(tuple(first), tuple(second)), bound)
    assert seen == pytest.approx(max(above.pvalue, below.pvalue), rel=1e-6, abs=1e-12)


@given(values, st.floats(0.5, 8))
@settings(deadline=None)
def test_sameness_of_points_and_pairs(first: list[float], bound: float) -> None:
    second = [value + place % 3 for place, value in enumerate(first)]
    differences = [mine - yours for yours, mine in zip(first, second, strict=True)]
    if len(set(differences)) < 2:
        return
    above = stats.ttest_1samp(differences, -bound, alternative="greater").pvalue
    below = stats.ttest_1samp(differences, bound, alternative="less").pvalue
    seen = equivalence_p(Samples(tuple(first), tuple(second), True, "points"), bound)
    assert seen == pytest.approx(max(above, below), rel=1e-6, abs=1e-12)


def test_changes_of_the_mean() -> None:
    assert change_of(Samples((90.0, 110.0), (80.0, 100.0))) == pytest.approx(-10)
    assert change_of(Samples((40.0, 60.0), (30.0,), scale="points")) == pytest.approx(-20)
    assert change_of(Samples((), (1.0,))) is None
    assert change_of(Samples((0.0, 0.0), (1.0,))) is None
    assert change_of(Samples((-5.0,), (1.0,))) is None


@pytest.mark.parametrize(("other", "p"), [((5.0, 5.0), 1.0), ((6.0, 6.0), 0.0)])
def test_nothing_varies(other: tuple[float, ...], p: float) -> None:
    assert difference_p(Samples((5.0, 5.0), other)) == p
    assert difference_p(Samples((5.0, 5.0), other, paired=True)) == p


def test_one_value_is_not_tested() -> None:
    assert difference_p(Samples((5.0,), (6.0, 7.0))) is None
    assert equivalence_p(Samples((5.0,), (6.0, 7.0)), 5) is None


def test_hedges_g_by_hand() -> None:
    """d = 1 with 8 degrees of freedom; J = Gamma(4) / (2 Gamma(3.5)) = 0.9027."""
    first, second = (
        (1.0, 2.0, 3.0, 4.0, 5.0),
        tuple(one + math.sqrt(2.5) for one in (1.0, 2.0, 3.0, 4.0, 5.0)),
    )
    assert hedges_g(first, second) == pytest.approx(0.902703, abs=1e-6)
    assert hedges_g(second, first) == pytest.approx(-0.902703, abs=1e-6)


@pytest.mark.parametrize("df", [4, 10, 40])
def test_hedges_correction_is_close_to_the_usual_approximation(df: int) -> None:
    n = df // 2 + 1
    first = tuple(float(one) for one in range(n))
    second = tuple(one + 1 for one in first)
    d = 1 / math.sqrt(sum((one - (n - 1) / 2) ** 2 for one in first) / (n - 1))
    assert hedges_g(first, second) == pytest.approx(d * (1 - 3 / (4 * df - 1)), rel=0.01)


def test_effects_that_cannot_be_told() -> None:
    assert hedges_g((1.0,), (1.0, 2.0)) is None
    assert hedges_g((1.0, 1.0), (2.0, 2.0)) is None
    assert hedges_g((1.0, 1.0), (1.0, 1.0)) == 0.0
    assert cliffs_delta((), (1.0,)) is None


@given(values, values)
@settings(deadline=None)
def test_cliffs_delta_is_a_rescaled_u(first: list[float], second: list[float]) -> None:
    u = stats.mannwhitneyu(second, first).statistic
    assert cliffs_delta(first, second) == pytest.approx(2 * u / (len(first) * len(second)) - 1)


def test_holm_by_hand() -> None:
    assert adjust_holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert adjust_holm([0.6, 0.7]) == (1.0, 1.0)
    assert adjust_holm([]) == ()
    with pytest.raises(ValueError, match="between 0 and 1"):
        adjust_holm([1.5])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
@settings(deadline=None)
def test_holm_keeps_order_and_lies_between_none_and_bonferroni(p_values: list[float]) -> None:
    adjusted = adjust_holm(p_values)
    for p, corrected in zip(p_values, adjusted, strict=True):
        assert p <= corrected <= min(1.0, len(p_values) * p) + 1e-12
    by_p = [corrected for _, corrected in sorted(zip(p_values, adjusted, strict=True))]
    assert by_p == sorted(by_p)
