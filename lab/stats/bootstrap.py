# SPDX-License-Identifier: GPL-2.0-only
"""A confidence interval of a change by resampling.

It is the percentile interval, made wider for few values: the bootstrap's distribution is too narrow by
sqrt((n - 1) / n), and its tails are those of a normal distribution rather than of t. So the tails that are
cut off are Phi(-t(alpha / 2, df) x error / plain error) rather than alpha / 2: Hesterberg's "expanded
percentile" interval (What Teachers Should Know About the Bootstrap, The American Statistician 69, 2015). With
five pairs the plain percentile interval would hold the truth in about 83 % of cases where it promises 95 %.

Not BCa: its two corrections are estimated from the same five to ten values, so that they vary more than what
they correct, and it is just as narrow. For a ratio of means with 1-3 % of noise there is hardly any skew to
correct.

Pairs are drawn as pairs, so that what both sides of a repeat share drops out; unpaired samples are drawn each
by itself. No interval can reach beyond the values that were seen. That is too short with three or four pairs;
lab.stats.compare therefore never decides by it alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.stats.change import Samples, change_of, contrast
from lab.stats.defaults import RESAMPLES, SEED

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


#: Keeps memory small for samples of thousands, as a sweep may have.
_DRAWN_AT_ONCE = 1_000_000


@dataclass(frozen=True)
class Interval:
    """From `low` to `high`, both in the scale of the change."""

    low: float
    high: float

    def within(self, bound: float) -> bool:
        """Whether all of it lies between -bound and bound."""
        return -bound < self.low and self.high < bound

    def excludes_zero(self) -> bool:
        """Whether 0 lies outside."""
        return self.low > 0 or self.high < 0


class Bootstrap:
    """The change in resamples of two samples, from which intervals of any confidence are read."""

    def __init__(self, samples: Samples, seed: int = SEED, resamples: int = RESAMPLES) -> None:
        self._samples = samples
        self._usable = samples.n >= 2 and change_of(samples) is not None
        self._sorted = _resampled_changes(samples, seed, resamples) if self._usable else None

    def interval(self, confidence_pct: float) -> Interval | None:
        """The interval that holds the change with this confidence.

        None with fewer than two values of either sample, where a change cannot be told
        (lab.stats.change.change_of), and where the baseline comes too close to 0 for a per cent change to
        have bounds.
        """
        if self._sorted is None:
            return None
        tail = self._tail((1 - confidence_pct / 100) / 2)
        last = len(self._sorted) - 1
        cut = min(int(tail * len(self._sorted)), last // 2)
        low, high = float(self._sorted[cut]), float(self._sorted[last - cut])
        return Interval(low, high) if math.isfinite(low) and math.isfinite(high) else None

    def _tail(self, alpha: float) -> float:
        """What is cut off at either end of the bootstrap's distribution so that `alpha` is left out in
        truth."""
        from scipy.special import ndtr, stdtrit

        seen = contrast(self._samples, change_of(self._samples) or 0.0)
        if seen.plain_error == 0:
            return alpha
        return float(ndtr(stdtrit(seen.df, alpha) * seen.error / seen.plain_error))


def _resampled_changes(samples: Samples, seed: int, resamples: int) -> NDArray[np.float64]:
    """The change in each resample, sorted. Infinite where a resample's baseline is 0."""
    import numpy as np

    random = np.random.default_rng(seed)
    before, after = np.asarray(samples.baseline), np.asarray(samples.other)
    mean_before, mean_after = np.empty(resamples), np.empty(resamples)
    at_once = max(1, _DRAWN_AT_ONCE // max(len(before), len(after)))
    for begin in range(0, resamples, at_once):
        part = slice(begin, min(begin + at_once, resamples))
        drawn = random.integers(len(before), size=(part.stop - begin, len(before)))
        mean_before[part] = before[drawn].mean(axis=1)
        if not samples.paired:
            drawn = random.integers(len(after), size=(part.stop - begin, len(after)))
        mean_after[part] = after[drawn].mean(axis=1)
    if samples.scale == "points":
        return np.sort(mean_after - mean_before)
    with np.errstate(divide="ignore", invalid="ignore"):
        changes = np.where(mean_before > 0, 100 * (mean_after - mean_before) / mean_before, np.inf)
    return np.sort(changes)
