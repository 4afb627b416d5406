# SPDX-License-Identifier: GPL-2.0-only
"""Samples of one metric against those of a baseline: improved, regressed, same, or not to be told yet.

Two methods with different weaknesses have to agree, or nothing is said. The bootstrap assumes nothing about
the distribution but is short-sighted with three or four values; t tests are right for few values but assume
means that are about normal. With confidence c and alpha = 1 - c:

    same          the bootstrap's interval of confidence 1 - 2 alpha lies within +- the smallest change of
                  interest, and two one-sided t tests of level alpha say so (TOST: that is their interval)
    improved,     not same; the t test, corrected by Holm's procedure for all comparisons of the report,
    regressed     rejects equal means at level alpha, and the bootstrap's interval of confidence c excludes 0.
                  The direction is the metric's; `changed` where neither direction of it is better
    inconclusive  everything else, with how many more repeats would probably tell

"Same" comes first: a difference that is real and surely smaller than what interests is not news. A change
need not be larger than the smallest of interest to be called regressed; it must be real, and not surely
smaller than that. Claims of sameness are not corrected: that *all* of them hold is claimed at the level of
each (Berger, Multiparameter hypothesis testing and acceptance sampling, Technometrics 24, 1982).

The rank test and the effect sizes are told beside it and decide nothing: with five pairs no rank test can
come below 0.0625, and with five values on each side not below 0.0079, which leaves nothing to correct for a
report of more than six comparisons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

from lab.stats.bootstrap import Bootstrap, Interval
from lab.stats.change import Samples, Scale, change_of, difference_p, equivalence_p
from lab.stats.defaults import CONFIDENCE_PCT, FEWEST, RESAMPLES, SEED, SMALLEST_CHANGE_PCT
from lab.stats.effect import cliffs_delta, hedges_g
from lab.stats.holm import adjust_holm
from lab.stats.morerepeats import estimate_more_repeats
from lab.stats.ranks import mann_whitney_p, signed_rank_p
from lab.stats.summary import Summary, summarize

Better = Literal["higher", "lower", "neither"]


class Change(StrEnum):
    """What a comparison comes to."""

    IMPROVED = "improved"
    REGRESSED = "regressed"
    CHANGED = "changed"
    SAME = "same"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Rule:
    """When a change counts. Percentages; `smallest_change_pct` is points where samples are compared in
    points."""

    smallest_change_pct: float = SMALLEST_CHANGE_PCT
    confidence_pct: float = CONFIDENCE_PCT
    seed: int = SEED
    resamples: int = RESAMPLES

    @property
    def alpha(self) -> float:
        """The chance of an error that is put up with."""
        return 1 - self.confidence_pct / 100


@dataclass(frozen=True)
class Question:
    """Two samples and which direction is the better one."""

    samples: Samples
    better: Better


@dataclass(frozen=True)
class Comparison:
    """Everything about one question. What could not be computed is None.

    `change`, `interval` (of the rule's confidence) and `narrow_interval` (of 1 - 2 alpha, for sameness) are
    in `scale`. `p` is of the t test, `p_adjusted` corrected for the report, `p_same` that of the two
    one-sided tests, `rank_p` of `rank_test`. `more_repeats` is there where the verdict is inconclusive and
    noise is known. `reason` says why there is no verdict, where it is not for noise.
    """

    baseline: Summary
    other: Summary
    better: Better
    paired: bool
    scale: Scale
    change: float | None
    interval: Interval | None
    narrow_interval: Interval | None
    p: float | None
    p_adjusted: float | None
    p_same: float | None
    rank_test: Literal["signed-rank", "Mann-Whitney"]
    rank_p: float | None
    hedges_g: float | None
    cliffs_delta: float | None
    verdict: Change = Change.INCONCLUSIVE
    more_repeats: int | None = None
    reason: str = ""

    @property
    def n(self) -> int:
        """Values of the smaller sample; pairs where it is paired."""
        return min(self.baseline.n, self.other.n)


def compare(questions: Sequence[Question], rule: Rule) -> tuple[Comparison, ...]:
    """The comparisons of one report, in the order of `questions`; corrected for one another."""
    measured = [_measure(question, rule) for question in questions]
    tested = [place for place, one in enumerate(measured) if one.p is not None and _usable(one)]
    adjusted = adjust_holm([measured[place].p or 0.0 for place in tested])
    for place, p_adjusted in zip(tested, adjusted, strict=True):
        measured[place] = replace(measured[place], p_adjusted=p_adjusted)
    family = max(1, len(tested))
    return tuple(
        _decide(one, question.samples, rule, family)
        for one, question in zip(measured, questions, strict=True)
    )


def _measure(question: Question, rule: Rule) -> Comparison:
    samples = question.samples
    bootstrap = Bootstrap(samples, rule.seed, rule.resamples)
    return Comparison(
        baseline=summarize(samples.baseline),
        other=summarize(samples.other),
        better=question.better,
        paired=samples.paired,
        scale=samples.scale,
        change=change_of(samples),
        interval=bootstrap.interval(rule.confidence_pct),
        narrow_interval=bootstrap.interval(2 * rule.confidence_pct - 100),
        p=difference_p(samples),
        p_adjusted=None,
        p_same=equivalence_p(samples, rule.smallest_change_pct),
        rank_test="signed-rank" if samples.paired else "Mann-Whitney",
        rank_p=signed_rank_p(samples.differences)
        if samples.paired
        else mann_whitney_p(samples.baseline, samples.other),
        hedges_g=hedges_g(samples.baseline, samples.other),
        cliffs_delta=cliffs_delta(samples.baseline, samples.other),
    )


def _usable(one: Comparison) -> bool:
    return one.n >= FEWEST and one.interval is not None


def _decide(one: Comparison, samples: Samples, rule: Rule, family: int) -> Comparison:
    verdict = _verdict(one, rule) if _usable(one) else Change.INCONCLUSIVE
    if verdict is not Change.INCONCLUSIVE:
        return replace(one, verdict=verdict)
    more = estimate_more_repeats(samples, rule.smallest_change_pct, rule.alpha, family)
    return replace(one, more_repeats=more, reason=_why_not(one))


def _verdict(one: Comparison, rule: Rule) -> Change:
    if _is_same(one, rule):
        return Change.SAME
    changed = one.p_adjusted is not None and one.p_adjusted < rule.alpha
    if not changed or one.interval is None or not one.interval.excludes_zero():
        return Change.INCONCLUSIVE
    if one.better == "neither":
        return Change.CHANGED
    return Change.IMPROVED if (one.interval.low > 0) == (one.better == "higher") else Change.REGRESSED


def _is_same(one: Comparison, rule: Rule) -> bool:
    inside = one.narrow_interval is not None and one.narrow_interval.within(rule.smallest_change_pct)
    return inside and one.p_same is not None and one.p_same < rule.alpha


def _why_not(one: Comparison) -> str:
    if one.n < FEWEST:
        return f"{one.n} of the {FEWEST} values that are the least to tell noise by"
    if one.interval is None:
        return "the baseline's mean is too close to 0 for a change in per cent"
    return ""
