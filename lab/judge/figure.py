# SPDX-License-Identifier: GPL-2.0-only
"""A figure with its error bars against the bounds of an expectation.

What a window of some seconds shows is a sample: another window would show something else. So a figure is told
with the interval that holds it in nearly all such windows, and a bound inside of that interval decides nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from lab.judge.bounds import Finding, evaluate_place, render_bound
from lab.judge.verdict import Outcome
from lab.plan.labplan import ExpectationPlan
from lab.stats.defaults import CONFIDENCE_PCT
from lab.units import format_seconds

#: Windows longer than this are not recommended: something else has to change then.
_LONGEST_S = 24 * 3600


@dataclass(frozen=True)
class Figure:
    """`value`, and the interval from `low` to `high` that holds it with CONFIDENCE_PCT, in `unit`.

    `error` is how far the clock alone may have moved any of them. The interval may be open (`high` infinite) while
    fewer than `fewest` observations were made; `count` were.
    """

    value: float
    low: float
    high: float
    unit: str
    error: float = 0.0
    count: int = 0
    fewest: int = 0


def render_amount(value: float) -> str:
    """Three digits, without an exponent where that is not needed."""
    return f"{value:.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.3g}"


def render_time(time_ns: int) -> str:
    """Three digits in us, or in ms or s where it is that long."""
    for unit_ns, unit in ((1_000_000_000, "s"), (1_000_000, "ms")):
        if time_ns >= unit_ns:
            return f"{time_ns / unit_ns:.3g} {unit}"
    return f"{time_ns / 1000:.3g} us"


def render_figure(figure: Figure) -> str:
    """``4.12 ms (95 %: 3.98 .. 4.4 ms)``; without the interval where there is none to tell."""
    value = f"{render_amount(figure.value)}{figure.unit}"
    if figure.low == figure.high:
        return value
    return f"{value} ({CONFIDENCE_PCT:g} %: {_interval(figure)})"


def _interval(figure: Figure) -> str:
    if math.isinf(figure.high):
        return f"{render_amount(figure.low)}{figure.unit} or more"
    return f"{render_amount(figure.low)} .. {render_amount(figure.high)}{figure.unit}"


def evaluate_figure(figure: Figure, expectation: ExpectationPlan, observed: str, elapsed_ns: int) -> Finding:
    """PASSED where all of the interval lies within the bounds, FAILED where all of it lies outside, whatever the
    clock's error did to it; else UNDECIDED, with what would help."""
    outcome = _settle(expectation, figure.low - figure.error, figure.high + figure.error)
    if outcome is Outcome.PASSED:
        return Finding(outcome, observed)
    if outcome is Outcome.FAILED:
        return Finding(outcome, observed, _why_not(figure, expectation))
    if _settle(expectation, figure.low, figure.high) is not None:
        return Finding(Outcome.UNDECIDED, observed, _clock_reason(figure, expectation))
    return Finding(Outcome.UNDECIDED, observed, _width_reason(figure, expectation, elapsed_ns))


def _settle(expectation: ExpectationPlan, low: float, high: float) -> Outcome | None:
    minimum = -math.inf if expectation.minimum is None else expectation.minimum
    maximum = math.inf if expectation.maximum is None else expectation.maximum
    if minimum <= low and high <= maximum:
        return Outcome.PASSED
    return Outcome.FAILED if high < minimum or low > maximum else None


def _why_not(figure: Figure, expectation: ExpectationPlan) -> str:
    bound = render_bound(evaluate_place(figure.value, expectation), expectation, figure.unit)
    return f"{figure.value:.7g}{figure.unit} is {bound}"


def _spanned(figure: Figure, expectation: ExpectationPlan) -> float:
    """The bound that keeps it from being decided: of several the one nearest to the value."""
    bounds = [bound for bound in (expectation.minimum, expectation.maximum) if bound is not None]
    low, high = figure.low - figure.error, figure.high + figure.error
    inside = [bound for bound in bounds if low <= bound <= high]
    return min(inside or bounds, key=lambda bound: abs(bound - figure.value))


def _clock_reason(figure: Figure, expectation: ExpectationPlan) -> str:
    bound = _spanned(figure, expectation)
    nearest = min(abs(bound - figure.low), abs(bound - figure.high))
    error, room = (f"{render_amount(one)}{figure.unit}" for one in (figure.error, nearest))
    return f"times may be {error} off, and it is {room} from what was seen to the bound"


def _width_reason(figure: Figure, expectation: ExpectationPlan, elapsed_ns: int) -> str:
    bound = _spanned(figure, expectation)
    reason = f"the bound of {bound:g}{figure.unit} lies in {_interval(figure)}"
    needed_s = _factor(figure, bound) * elapsed_ns / 1e9
    if needed_s > _LONGEST_S:
        return f"{reason}, and what was seen is too near to it for any window to tell"
    return f"{reason}: a window of about {_rounded(needed_s)} would tell (this one: {format_seconds(elapsed_ns)})"


def _factor(figure: Figure, bound: float) -> float:
    """How many times as long the window would have to be: an interval shrinks by the root of its length."""
    distance = abs(bound - figure.value)
    if distance == 0:
        return math.inf
    end = figure.low if bound < figure.value else figure.high
    enough = figure.fewest / figure.count if figure.count else 1.0
    if math.isinf(end):
        return max(enough, 2.0)
    ratio = abs(end - figure.value) / distance
    return max(enough, 1.1 * ratio * ratio, 1.1)


def _rounded(seconds: float) -> str:
    """Two digits, rounded up."""
    step = 10.0 ** (math.floor(math.log10(seconds)) - 1) if seconds > 0 else 1.0
    return f"{math.ceil(seconds / step) * step:g} s"
