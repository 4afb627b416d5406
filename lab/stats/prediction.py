# SPDX-License-Identifier: GPL-2.0-only
"""Where one more value of the same kind would lie."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev

from lab.stats.bootstrap import Interval
from lab.stats.defaults import CONFIDENCE_PCT, FEWEST


def predict_next(values: Sequence[float], confidence_pct: float = CONFIDENCE_PCT) -> Interval | None:
    """The interval in which one further value lies with that confidence, if values are about normal: mean
    +- t s sqrt(1 + 1/n) (Hahn and Meeker, Statistical Intervals, section 4.7). None for fewer than FEWEST."""
    if len(values) < FEWEST:
        return None
    from scipy.special import stdtrit

    count = len(values)
    quantile = float(stdtrit(count - 1, 0.5 + confidence_pct / 200))
    half = quantile * stdev(values) * math.sqrt(1 + 1 / count)
    return Interval(fmean(values) - half, fmean(values) + half)
