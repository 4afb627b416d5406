# SPDX-License-Identifier: GPL-2.0-only
"""Many comparisons in one report: each alone would be allowed to err, together they may not err more
often."""

from __future__ import annotations

from collections.abc import Sequence


def adjust_holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """`p_values` adjusted by Holm's step-down procedure, in the order given.

    Where all are compared with one level, the chance that even one of those that are true nulls is rejected
    is at most that level, whatever depends on what (Holm, A simple sequentially rejective multiple test
    procedure, Scand. J. Statist. 6, 1979). Raises ValueError for what is not a probability.
    """
    if any(not 0 <= p <= 1 for p in p_values):
        raise ValueError("a probability lies between 0 and 1")
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for step, place in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - step) * p_values[place]))
        adjusted[place] = largest
    return tuple(adjusted)
