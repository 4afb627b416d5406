# SPDX-License-Identifier: GPL-2.0-only
"""The change from one sample to another: its size, its standard error, and t tests about it.

All t tests are about the mean of other - ratio x baseline - shift. With ratio 1 it is the ordinary one
(paired, or Welch's for unequal variances); with ratio 1 + c it asks whether the change of the *ratio of the
means* is c, which is how Fieller's interval and Sasabuchi's test of equivalence are made (Hauschke, Kieser,
Diletti, Burke, Sample size determination for proving equivalence based on the ratio of two means, Stat. Med.
18, 1999). Means are assumed to be about normal: each value is already a sum over a window of seconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, variance
from typing import Literal

from lab.stats.summary import check_finite

#: How a change is told: in per cent of the baseline's mean, or as the plain difference (of values that are
#: per cent).
Scale = Literal["percent", "points"]


@dataclass(frozen=True)
class Samples:
    """Two samples to compare. Where they are `paired`, values at the same place were measured in the same
    repeat.

    Raises ValueError for values that are not finite, and for pairs without a partner.
    """

    baseline: tuple[float, ...]
    other: tuple[float, ...]
    paired: bool = False
    scale: Scale = "percent"

    def __post_init__(self) -> None:
        check_finite((*self.baseline, *self.other))
        if self.paired and len(self.baseline) != len(self.other):
            raise ValueError(f"{len(self.baseline)} and {len(self.other)} values do not make pairs")

    @property
    def n(self) -> int:
        """Values of the smaller sample."""
        return min(len(self.baseline), len(self.other))

    @property
    def differences(self) -> tuple[float, ...]:
        """other - baseline of each pair; meaningless unless paired."""
        return tuple(mine - yours for yours, mine in zip(self.baseline, self.other, strict=True))


@dataclass(frozen=True)
class Contrast:
    """The mean of other - ratio x baseline - shift, its standard error, and the degrees of freedom of both.

    `plain_error` is the standard error with n in place of n - 1, which is that of the bootstrap's
    distribution.
    """

    mean: float
    error: float
    plain_error: float
    df: float


def change_of(samples: Samples) -> float | None:
    """The change of the mean, in the samples' scale.

    None where a sample is empty, and in per cent where the baseline's mean is not above 0: a share of
    nothing, or of a debt, is no number that anybody can read.
    """
    if not samples.n:
        return None
    before, after = fmean(samples.baseline), fmean(samples.other)
    if samples.scale == "points":
        return after - before
    return 100 * (after - before) / before if before > 0 else None


def contrast(samples: Samples, change: float = 0.0) -> Contrast:
    """How far the samples are from a change of exactly `change` (in their scale). Needs two values of
    each."""
    ratio, shift = (1 + change / 100, 0.0) if samples.scale == "percent" else (1.0, change)
    if samples.paired:
        return _of_pairs([mine - ratio * yours for yours, mine in _pairs(samples)], shift)
    return _of_two(samples.baseline, samples.other, ratio, shift)


def _pairs(samples: Samples) -> Sequence[tuple[float, float]]:
    return list(zip(samples.baseline, samples.other, strict=True))


def _of_pairs(differences: Sequence[float], shift: float) -> Contrast:
    n = len(differences)
    square = variance(differences) / n
    return Contrast(fmean(differences) - shift, math.sqrt(square), math.sqrt(square * (n - 1) / n), n - 1)


def _of_two(baseline: Sequence[float], other: Sequence[float], ratio: float, shift: float) -> Contrast:
    """Welch: degrees of freedom by Satterthwaite, as though all varied alike where nothing varies at all."""
    sizes = (len(baseline), len(other))
    squares = (ratio**2 * variance(baseline) / sizes[0], variance(other) / sizes[1])
    total = sum(squares)
    parts = sum(square**2 / (n - 1) for square, n in zip(squares, sizes, strict=True))
    plain = sum(square * (n - 1) / n for square, n in zip(squares, sizes, strict=True))
    df = total**2 / parts if parts > 0 else sum(sizes) - 2
    return Contrast(fmean(other) - ratio * fmean(baseline) - shift, math.sqrt(total), math.sqrt(plain), df)


def difference_p(samples: Samples) -> float | None:
    """Two-sided p value of "the means are equal"; None with fewer than two values of either.

    Where nothing varies it is 1.0 for equal means and 0.0 for others.
    """
    if samples.n < 2:
        return None
    seen = contrast(samples)
    return min(1.0, 2 * _upper_tail(abs(seen.mean), seen))


def equivalence_p(samples: Samples, smallest_change: float) -> float | None:
    """p value of "the change is at least `smallest_change`, up or down", by two one-sided t tests (TOST).

    Small values say that the change is smaller than that. Schuirmann, J. Pharmacokin. Biopharm. 15, 1987.
    None with fewer than two values of either, and where a change cannot be told (see change_of).
    """
    if samples.n < 2 or change_of(samples) is None:
        return None
    low, high = contrast(samples, -smallest_change), contrast(samples, smallest_change)
    return max(_upper_tail(low.mean, low), _upper_tail(-high.mean, high))


def _upper_tail(distance: float, seen: Contrast) -> float:
    """The chance of a mean `distance` above 0, or farther, where 0 is true."""
    if seen.error == 0:
        return 0.0 if distance > 0 else 0.5 if distance == 0 else 1.0
    from scipy.special import stdtr

    return float(stdtr(seen.df, -distance / seen.error))
