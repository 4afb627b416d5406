# SPDX-License-Identifier: GPL-2.0-only
"""One number against the bounds of an expectation: inclusive, and None where there is no bound."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from lab.judge.verdict import Outcome
from lab.plan.labplan import ExpectationPlan


class Place(Enum):
    """Where a value lies."""

    BELOW = "below"
    WITHIN = "within"
    ABOVE = "above"


@dataclass(frozen=True)
class Finding:
    """A verdict without its headings: what was decided, what was seen, and why."""

    outcome: Outcome
    observed: str
    reason: str = ""


def evaluate_place(value: float, expectation: ExpectationPlan) -> Place:
    """Where `value` lies with regard to the expectation's bounds (in the expectation's own unit)."""
    if expectation.minimum is not None and value < expectation.minimum:
        return Place.BELOW
    if expectation.maximum is not None and value > expectation.maximum:
        return Place.ABOVE
    return Place.WITHIN


def render_bound(place: Place, expectation: ExpectationPlan, unit: str = "") -> str:
    """Words for the bound that a value at `place` violates: ``above the 5 % allowed``."""
    if place is Place.BELOW:
        return f"below the {expectation.minimum:g}{unit} required"
    if place is Place.ABOVE:
        return f"above the {expectation.maximum:g}{unit} allowed"
    return "within bounds"


def evaluate_value(value: float, expectation: ExpectationPlan, observed: str, unit: str = "") -> Finding:
    """PASSED or FAILED for a value that nobody doubts.

    The reason repeats the value with more digits than `observed` has, so that a near miss does not read as
    ``5.0 % is above 5 %``.
    """
    place = evaluate_place(value, expectation)
    if place is Place.WITHIN:
        return Finding(Outcome.PASSED, observed)
    return Finding(Outcome.FAILED, observed, f"{value:.7g}{unit} is {render_bound(place, expectation, unit)}")
