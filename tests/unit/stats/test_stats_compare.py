# SPDX-License-Identifier: GPL-2.0-only
"""Verdicts: what they do not depend on, and what becomes of samples that say little."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.stats.change import Samples
from lab.stats.compare import Better, Change, Comparison, Question, Rule, compare

RULE = Rule(resamples=500)
NOISE = (0.3, -1.2, 0.8, 1.5, -0.4, -0.9, 0.1, 1.1, -1.4, 0.2)

samples = st.lists(st.floats(50, 150), min_size=3, max_size=8)
few = st.lists(st.sampled_from((90.0, 100.0, 110.0)), min_size=0, max_size=6)
Floats = tuple[float, ...]


def only(
    baseline: Floats, other: Floats, better: Better = "higher", *, paired: bool = False, rule: Rule = RULE
) -> Comparison:
    """The comparison of a report that has one."""
    (one,) = compare([Question(Samples(baseline, other, paired), better)], rule)
    return one


def around(mean: float, spread: float = 1.0, n: int = 10) -> Floats:
    return tuple(mean * (1 + spread * noise / 100) for noise in NOISE[:n])


@pytest.mark.parametrize(
    ("mean", "better", "verdict"),
    [
        (100, "higher", Change.SAME),
        (90, "higher", Change.REGRESSED),
        (90, "lower", Change.IMPROVED),
        (90, "neither", Change.CHANGED),
        (110, "higher", Change.IMPROVED),
        (110, "lower", Change.REGRESSED),
    ],
)
@pytest.mark.parametrize("n", [3, 5, 10])
def test_verdicts_follow_the_direction(mean: float, better: Better, verdict: Change, n: int) -> None:
    assert only(around(100, n=n), around(mean, n=n)[::-1], better).verdict is verdict


def test_a_real_change_that_is_surely_small_is_same() -> None:
    one = only(around(100, 0.2), around(102, 0.2))
    assert one.p_adjusted is not None and one.p_adjusted < 0.001
    assert one.verdict is Change.SAME


def test_a_real_change_that_may_be_larger_than_the_smallest_is_told() -> None:
    """5 % less for certain, perhaps 6: not surely smaller than what interests."""
    one = only(around(100), around(95), rule=replace(RULE, smallest_change_pct=5))
    assert one.verdict is Change.REGRESSED


def test_noise_is_inconclusive_and_says_how_many_more() -> None:
    one = only(around(100, 6), around(104, 6)[::-1])
    assert one.verdict is Change.INCONCLUSIVE
    assert one.more_repeats is not None and 1 <= one.more_repeats <= 200
    assert one.reason == ""


def test_quieter_samples_need_fewer_more() -> None:
    needs = [only(around(100, spread), around(104, spread)[::-1]).more_repeats for spread in (6, 9, 15)]
    assert None not in needs
    assert needs == sorted(needs) and needs[0] < needs[-1]


def test_the_estimate_of_more_repeats_is_about_right() -> None:
    """Four times the noise needs about sixteen times the repeats; that of ten per arm is known by formula.

    TOST around 0 with power 0.8 on both sides of a shift: n = 2 (t + z)^2 s^2 / (d - |c|)^2.
    """
    one = only(around(100, 15), around(100, 15)[::-1])
    s = one.baseline.stdev
    assert s is not None and one.change == pytest.approx(0, abs=1e-9)
    expected = 2 * (1.6449 + 0.8416) ** 2 * s**2 / 6**2
    assert one.more_repeats == pytest.approx(expected - 10, abs=2)


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("n", [0, 1, 2])
def test_too_few_values_are_inconclusive(n: int, paired: bool) -> None:
    one = only((100.0, 101.0)[:n], (10.0, 11.0)[:n], paired=paired)
    assert one.verdict is Change.INCONCLUSIVE
    assert one.p_adjusted is None
    assert one.reason.startswith(f"{n} of the 3 values")
    assert one.more_repeats is None if n == 0 else one.more_repeats == 3 - n


@given(few, few, st.booleans())
@settings(max_examples=150, deadline=None)
def test_few_values_and_ties_never_break_it(first: list[float], second: list[float], paired: bool) -> None:
    size = min(len(first), len(second)) if paired else None
    one = only(tuple(first[:size]), tuple(second[:size]), paired=paired)
    if one.n < 3:
        assert one.verdict is Change.INCONCLUSIVE
    if one.verdict is Change.INCONCLUSIVE and one.n:
        assert one.more_repeats is not None and one.more_repeats >= 1


@pytest.mark.parametrize("paired", [False, True])
def test_constants(paired: bool) -> None:
    same, less = only((7.0,) * 5, (7.0,) * 5, paired=paired), only((7.0,) * 5, (6.0,) * 5, paired=paired)
    assert same.verdict is Change.SAME
    assert (same.hedges_g, same.cliffs_delta, same.rank_p) == (0.0, 0.0, 1.0)
    assert less.verdict is Change.REGRESSED
    assert less.hedges_g is None


def test_a_baseline_of_nothing_has_no_per_cent() -> None:
    one = only((0.0,) * 5, (1.0, 2.0, 3.0, 4.0, 5.0))
    assert one.verdict is Change.INCONCLUSIVE
    assert (one.change, one.interval, one.more_repeats) == (None, None, None)
    assert "close to 0" in one.reason


def test_a_baseline_that_may_be_nothing_has_no_bounds() -> None:
    one = only((0.0, 0.0, 0.0, 5.0), (0.0, 5.0, 5.0, 5.0))
    assert one.verdict is Change.INCONCLUSIVE
    assert one.interval is None


def test_points_need_no_baseline() -> None:
    question = Question(Samples((0.0,) * 5, (20.0, 21.0, 19.0, 20.5, 20.0), scale="points"), "lower")
    (one,) = compare([question], RULE)
    assert one.verdict is Change.REGRESSED
    assert one.change == pytest.approx(20.1)


def test_pairs_remove_what_repeats_share() -> None:
    """The machine becomes slower from repeat to repeat, by far more than what is compared."""
    drift = [1 - 0.05 * repeat for repeat in range(10)]
    before = tuple(value * factor for value, factor in zip(around(100, 0.5), drift, strict=True))
    after = tuple(value * factor for value, factor in zip(around(90, 0.5)[::-1], drift, strict=True))
    assert only(before, after, paired=True).verdict is Change.REGRESSED
    assert only(before, after).verdict is Change.INCONCLUSIVE


def test_many_comparisons_make_each_harder() -> None:
    """A change that is significant alone is not, among twenty that are nothing."""
    planted = Question(Samples(around(100, 3, 5), around(93, 3, 5)[::-1]), "higher")
    nothing = Question(Samples(around(100, 3, 5), around(100, 3, 5)[::-1]), "higher")
    alone, among = compare([planted], RULE)[0], compare([planted, *[nothing] * 20], RULE)[0]
    assert alone.verdict is Change.REGRESSED
    assert among.verdict is Change.INCONCLUSIVE
    assert among.p == alone.p
    assert among.p_adjusted is not None and alone.p_adjusted is not None
    assert among.p_adjusted == pytest.approx(21 * alone.p_adjusted)


def test_what_cannot_be_tested_does_not_make_the_others_harder() -> None:
    planted = Question(Samples(around(100, 3, 5), around(93, 3, 5)[::-1]), "higher")
    empty = Question(Samples((), ()), "higher")
    assert compare([planted, *[empty] * 20], RULE)[0].verdict is Change.REGRESSED


@given(samples, samples, st.floats(1e-3, 1e6))
@settings(max_examples=60, deadline=None)
def test_the_unit_does_not_matter(first: list[float], second: list[float], scale: float) -> None:
    plain = only(tuple(first), tuple(second))
    scaled = only(tuple(scale * one for one in first), tuple(scale * one for one in second))
    assert scaled.change == pytest.approx(plain.change, abs=1e-6)
    assert scaled.p == pytest.approx(plain.p, rel=1e-5, abs=1e-9)
    assert scaled.interval is not None and plain.interval is not None
    assert scaled.interval.low == pytest.approx(plain.interval.low, abs=1e-6)
    assert scaled.interval.high == pytest.approx(plain.interval.high, abs=1e-6)


@given(samples, samples)
@settings(max_examples=60, deadline=None)
def test_the_other_direction_is_the_other_verdict(first: list[float], second: list[float]) -> None:
    flipped = {Change.IMPROVED: Change.REGRESSED, Change.REGRESSED: Change.IMPROVED}
    higher, lower = (only(tuple(first), tuple(second), better) for better in ("higher", "lower"))
    assert lower.verdict is flipped.get(higher.verdict, higher.verdict)


@given(samples, samples)
@settings(max_examples=60, deadline=None)
def test_in_points_the_sides_can_be_changed(first: list[float], second: list[float]) -> None:
    sides = (tuple(first), tuple(second))
    there, back = (
        compare([Question(Samples(*two, scale="points"), "higher")], Rule(resamples=2000))[0]
        for two in (sides, sides[::-1])
    )
    assert back.change == pytest.approx(-(there.change or 0.0))
    assert back.p == pytest.approx(there.p)
    assert back.p_same == pytest.approx(there.p_same)
    assert back.rank_p == pytest.approx(there.rank_p)
    assert back.hedges_g == pytest.approx(-(there.hedges_g or 0.0))
    assert back.cliffs_delta == pytest.approx(-(there.cliffs_delta or 0.0))


@given(st.lists(st.floats(80, 120), min_size=3, max_size=8))
@settings(max_examples=40, deadline=None)
def test_nothing_against_itself_is_no_change(values: list[float]) -> None:
    """Where the machine drifts by less than half: with more, three repeats do not even tell the baseline's mean."""
    one = only(tuple(values), tuple(values), paired=True)
    assert one.change == 0
    assert one.verdict is Change.SAME


def test_the_seed_decides_and_nothing_else() -> None:
    sides = (around(100, 3), around(98, 3)[::-1])
    first, again = only(*sides), only(*sides)
    other = only(*sides, rule=replace(RULE, seed=2))
    assert first == again
    assert first.interval != other.interval


def test_more_confidence_is_a_wider_interval() -> None:
    sides = (around(100, 3), around(98, 3)[::-1])
    widths = []
    for confidence in (80, 95, 99):
        interval = only(*sides, rule=Rule(confidence_pct=confidence)).interval
        assert interval is not None
        widths.append(interval.high - interval.low)
    assert widths == sorted(widths)
    assert widths[0] < widths[-1]
