# SPDX-License-Identifier: GPL-2.0-only
"""How large a difference is, in terms of noise rather than of the values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, variance


def hedges_g(baseline: Sequence[float], other: Sequence[float]) -> float | None:
    """Difference of the means (other - baseline) in pooled standard deviations, unbiased for small samples.

    Hedges, Distribution theory for Glass's estimator of effect size, J. Educ. Stat. 6, 1981: g = J(df) x d
    with the exact J(df) = Gamma(df/2) / (sqrt(df/2) Gamma((df - 1)/2)), df = n1 + n2 - 2. Also for paired
    repeats it is of the single values, so that it means the same in both. None for fewer than two values of
    either, and where nothing varies but the means differ; 0.0 where nothing differs at all.
    """
    if min(len(baseline), len(other)) < 2:
        return None
    difference = fmean(other) - fmean(baseline)
    df = len(baseline) + len(other) - 2
    spread = (len(baseline) - 1) * variance(baseline) + (len(other) - 1) * variance(other)
    if spread <= 0:
        return 0.0 if difference == 0 else None
    return _unbiased(df) * difference / math.sqrt(spread / df)


def _unbiased(df: int) -> float:
    return math.exp(math.lgamma(df / 2) - math.lgamma((df - 1) / 2)) / math.sqrt(df / 2)


def cliffs_delta(baseline: Sequence[float], other: Sequence[float]) -> float | None:
    """How often a value of `other` is larger than one of `baseline`, less how often it is smaller: -1 .. 1.

    Cliff, Dominance statistics, Psychological Bulletin 114, 1993. None where a sample is empty.
    """
    if not baseline or not other:
        return None
    signs = sum((mine > yours) - (mine < yours) for mine in other for yours in baseline)
    return signs / (len(baseline) * len(other))
