# SPDX-License-Identifier: GPL-2.0-only
"""How many more repeats would probably decide: by the noise seen so far, and a change that stays what it
is."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import fmean

from lab.stats.change import Samples, change_of, contrast
from lab.stats.defaults import FEWEST

#: How often the number that is named should be enough.
POWER = 0.8

#: Nobody runs more; the estimate then says so by being this.
MOST = 10_000


def estimate_more_repeats(samples: Samples, smallest_change: float, alpha: float, family: int) -> int | None:
    """Repeats beyond those of the smaller sample after which either verdict can be expected.

    That is the first number at which the interval around today's change would lie within +-
    `smallest_change`, or the change would be told from 0 at level `alpha` among `family` comparisons; each
    with a chance of POWER. It is at least 1, what is missing to the least number of values, and MOST where
    that is not enough. None where the change cannot be told.
    """
    change = change_of(samples)
    if change is None:
        return None
    if samples.n < 2:
        return FEWEST - samples.n
    per_repeat = _error_of_one(samples, change)
    if per_repeat == 0:
        return max(1, FEWEST - samples.n)

    def decided(n: int) -> bool:
        error = per_repeat / math.sqrt(n)
        to_same = (_t(n, samples, alpha) + _z(POWER)) * error <= smallest_change - abs(change)
        return to_same or (_t(n, samples, alpha / (2 * family)) + _z(POWER)) * error <= abs(change)

    return _first(decided, max(samples.n + 1, FEWEST)) - samples.n


def _error_of_one(samples: Samples, change: float) -> float:
    """Standard error of the change after one repeat, in its scale."""
    size = 2 / (1 / len(samples.baseline) + 1 / len(samples.other))
    error = contrast(samples, change).error * math.sqrt(size)
    return 100 * error / fmean(samples.baseline) if samples.scale == "percent" else error


def _t(n: int, samples: Samples, tail: float) -> float:
    from scipy.special import stdtrit

    return -float(stdtrit(n - 1 if samples.paired else 2 * n - 2, tail))


def _z(chance: float) -> float:
    from scipy.special import ndtri

    return float(ndtri(chance))


def _first(holds: Callable[[int], bool], low: int) -> int:
    """The first number from `low` on for which `holds`, which then holds for all larger ones; at most
    MOST."""
    high = low
    while not holds(high):
        if high >= MOST:
            return MOST
        low, high = high + 1, min(2 * high, MOST)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low
