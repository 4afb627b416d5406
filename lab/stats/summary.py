# SPDX-License-Identifier: GPL-2.0-only
"""A sample in a few numbers."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Summary:
    """Number, mean, median and standard deviation of a sample; the last with n - 1, None for fewer than two
    values.

    All but `n` are None for an empty sample.
    """

    n: int
    mean: float | None
    median: float | None
    stdev: float | None


def summarize(values: Sequence[float]) -> Summary:
    """`values` in a few numbers. Raises ValueError where one is infinite or not a number."""
    check_finite(values)
    if not values:
        return Summary(0, None, None, None)
    return Summary(
        n=len(values),
        mean=statistics.fmean(values),
        median=float(statistics.median(values)),
        stdev=float(statistics.stdev(values)) if len(values) > 1 else None,
    )


def check_finite(values: Sequence[float]) -> None:
    """Raise ValueError where a value is infinite or not a number: no statistic survives it."""
    odd = [value for value in values if not math.isfinite(value)]
    if odd:
        raise ValueError(f"{odd[0]} is no measured value: {len(odd)} of {len(values)} are not finite")
