# SPDX-License-Identifier: GPL-2.0-only
"""Scales and axes of drawings."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from markupsafe import Markup

from lab.report.svg import line, text

_STEPS = (1, 2, 5)


@dataclass(frozen=True)
class Scale:
    """Values from `low` to `high` on positions from `start` to `end`; what is outside goes to the nearer end."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        if self.high <= self.low:
            return self.start
        share = (value - self.low) / (self.high - self.low)
        return self.start + (self.end - self.start) * min(1.0, max(0.0, share))


def round_step(length: float, most: int) -> float:
    """The smallest of 1, 2, 5, 10, 20, ... (or parts in ten of them) of which at most `most` fit in `length`."""
    if length <= 0 or most <= 0:
        return 1.0
    raw = length / most
    power = 10.0 ** math.floor(math.log10(raw))
    return next(step * power for step in (*_STEPS, 10) if step * power >= raw * (1 - 1e-9))


def ticks(low: float, high: float, most: int) -> Iterator[float]:
    """Round values between `low` and `high`, at most `most` + 1 of them."""
    step = round_step(high - low, most)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return (number * step for number in range(first, last + 1))


def bottom_axis(
    scale: Scale, y: float, most: int, render: Callable[[float], str] = lambda value: f"{value:g}"
) -> Markup:
    """A horizontal axis at `y` with its numbers below."""
    marks = [line(scale.start, y, scale.end, y, "axis")]
    for value in ticks(scale.low, scale.high, most):
        x = scale(value)
        marks += [line(x, y, x, y + 4, "axis"), text(x, y + 15, render(value), "number", "middle")]
    return Markup("").join(marks)
