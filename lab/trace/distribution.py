# SPDX-License-Identifier: GPL-2.0-only
"""Lengths of preemptions and latencies in a few numbers, with how far chance may have moved each.

What a window shows is a sample of what the lab would show for ever. Intervals here hold the true value with the
given confidence if the observations are independent of each other; those of one vCPU that is preempted in turns
are more regular than that, and then the intervals of rates are wider than need be.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass

import numpy as np

from lab.stats.defaults import CONFIDENCE_PCT
from lab.trace.model import Times


@dataclass(frozen=True)
class Estimate:
    """`value`, and the interval that holds the truth; `high` is infinite where too little was seen to bound it."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Bucket:
    """`count` lengths from `low_us` up to, but not with, `high_us`."""

    low_us: int
    high_us: int
    count: int


@dataclass(frozen=True)
class Distribution:
    """Lengths in nanoseconds in a few numbers; None where there are none."""

    count: int
    p50: Estimate | None
    p90: Estimate | None
    p99: Estimate | None
    max_ns: int | None
    histogram: tuple[Bucket, ...]


def distribution(sorted_ns: Times, confidence_pct: float = CONFIDENCE_PCT) -> Distribution:
    """What `sorted_ns` comes to."""
    return Distribution(
        count=len(sorted_ns),
        p50=percentile(sorted_ns, 0.50, confidence_pct),
        p90=percentile(sorted_ns, 0.90, confidence_pct),
        p99=percentile(sorted_ns, 0.99, confidence_pct),
        max_ns=int(sorted_ns[-1]) if len(sorted_ns) else None,
        histogram=histogram(sorted_ns),
    )


def percentile(sorted_ns: Times, share: float, confidence_pct: float = CONFIDENCE_PCT) -> Estimate | None:
    """The smallest length that at least `share` (0 < share < 1) of all do not exceed, by nearest rank.

    The interval is between two of the lengths, whatever their distribution: the number of those below the true
    percentile is binomial (David and Nagaraja, Order Statistics, 3rd ed., section 7.1). Where there are too few it
    is open to 0 below and to infinity above: an upper end of p99 with 95 % needs 368 lengths. None for no lengths.
    """
    count = len(sorted_ns)
    if not count:
        return None
    tail = (1 - confidence_pct / 100) / 2
    below, above = _rank_bounds(count, share, tail)
    return Estimate(
        value=float(sorted_ns[min(count, max(1, math.ceil(share * count))) - 1]),
        low=float(sorted_ns[below - 1]) if below else 0.0,
        high=float(sorted_ns[above - 1]) if above <= count else math.inf,
    )


def _rank_bounds(count: int, share: float, tail: float) -> tuple[int, int]:
    """Ranks between which the percentile lies; 0 and count + 1 stand for beyond the sample.

    P(rank r's value <= percentile) = P(Binomial(count, share) >= r) = 1 - bdtr(r - 1).
    """
    from scipy.special import bdtr

    def chance_up_to(k: int) -> float:
        return float(bdtr(k, count, share))

    ranks = range(count + 1)
    below = bisect_left(ranks, True, key=lambda k: chance_up_to(k) > tail)
    above = bisect_left(ranks, 1 - tail, key=chance_up_to) + 1
    return below, above


def histogram(lengths_ns: Times) -> tuple[Bucket, ...]:
    """`lengths_ns` by powers of two of microseconds, from the first bucket that has any to the last; what is
    shorter than one microsecond is in the bucket from 0 to 1."""
    if not len(lengths_ns):
        return ()
    # frexp's exponent: 0 is [0.5, 1), 1 is [1, 2), 2 is [2, 4) ...; exact for whole numbers of microseconds.
    exponents = np.frexp((lengths_ns // 1000).astype(np.float64))[1]
    counts = np.bincount(exponents)
    first = int(exponents.min())
    return tuple(Bucket(_edge(at), 1 << at, int(counts[at])) for at in range(first, len(counts)))


def _edge(exponent: int) -> int:
    return 1 << (exponent - 1) if exponent else 0


def rate_per_s(count: int, elapsed_ns: int, confidence_pct: float = CONFIDENCE_PCT) -> Estimate | None:
    """`count` events in `elapsed_ns`, per second, with the exact interval of a Poisson count.

    Garwood, Fiducial limits for the Poisson distribution, Biometrika 28, 1936. None for an empty window.
    """
    from scipy.special import gammaincinv

    if elapsed_ns <= 0:
        return None
    tail, seconds = (1 - confidence_pct / 100) / 2, elapsed_ns / 1e9
    low = float(gammaincinv(count, tail)) if count else 0.0
    high = float(gammaincinv(count + 1, 1 - tail))
    return Estimate(count / seconds, low / seconds, high / seconds)


def share_pct(count: int, of: int, confidence_pct: float = CONFIDENCE_PCT) -> Estimate | None:
    """`count` of `of` in per cent, with the exact interval of a binomial share.

    Clopper and Pearson, The use of confidence or fiducial limits, Biometrika 26, 1934. None of nothing.
    """
    from scipy.special import betaincinv

    if of <= 0:
        return None
    tail = (1 - confidence_pct / 100) / 2
    low = float(betaincinv(count, of - count + 1, tail)) if count else 0.0
    high = float(betaincinv(count + 1, of - count, 1 - tail)) if count < of else 1.0
    return Estimate(100 * count / of, 100 * low, 100 * high)
