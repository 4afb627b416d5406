# SPDX-License-Identifier: GPL-2.0-only
"""Units of knobs and of the places where they are kept, and exact numbers in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

UnitName = Literal["percent_x100", "percent", "ratio", "cpu_max", "ns", "us", "ms", "s"]


@dataclass(frozen=True)
class Unit:
    """A unit of shares (of one) or of time (in seconds); `words` is how a number of it is spoken of."""

    dimension: Literal["share", "time"]
    size: Fraction
    words: str
    whole: bool = True


#: `ratio` is a decimal fraction of one; `cpu_max` is the "QUOTA PERIOD" of cgroup v2, a share of one pCPU.
UNITS: dict[str, Unit] = {
    "percent_x100": Unit("share", Fraction(1, 10_000), "hundredths of a per cent"),
    "percent": Unit("share", Fraction(1, 100), "per cent"),
    "ratio": Unit("share", Fraction(1), "of one", whole=False),
    "cpu_max": Unit("share", Fraction(1), "of a pCPU", whole=False),
    "ns": Unit("time", Fraction(1, 1_000_000_000), "ns"),
    "us": Unit("time", Fraction(1, 1_000_000), "us"),
    "ms": Unit("time", Fraction(1, 1_000), "ms"),
    "s": Unit("time", Fraction(1), "s"),
}

#: Units that a user may write behind a number.
_SUFFIXES = {"%": UNITS["percent"], **{name: UNITS[name] for name in ("ns", "us", "ms", "s")}}
_QUANTITY = re.compile(r"([+-]?[0-9]{1,18}(?:\.[0-9]{1,18})?)\s*([A-Za-z%]*)")
_CPU_MAX_PERIOD_US = 100_000
_DECIMALS = 9


def parse_quantity(text: str, unit: str | None) -> int:
    """`text` as a whole number in `unit`: a plain number is in it, one with a unit of its own is converted.

    Raises ValueError for what is no number, a unit of something else, or what is no whole number then.
    """
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a number{_example(unit)}")
    number, suffix = Fraction(match[1]), match[2]
    if suffix:
        number *= _factor(text, suffix, unit)
    if number.denominator != 1:
        raise ValueError(f"{text!r} is not a whole number{_in(unit)}")
    return int(number)


def _factor(text: str, suffix: str, unit: str | None) -> Fraction:
    if unit is None:
        raise ValueError(f"{text!r} has a unit, but this is a plain number")
    own, given = UNITS[unit], _SUFFIXES.get(suffix)
    if given is None or given.dimension != own.dimension:
        raise ValueError(f"{text!r} is no {_what(unit)}{_example(unit)}")
    return given.size / own.size


def _what(unit: str) -> str:
    return {"share": "percentage", "time": "duration"}[UNITS[unit].dimension]


def _in(unit: str | None) -> str:
    return f" of {UNITS[unit].words}" if unit else ""


def _example(unit: str | None) -> str:
    if unit is None:
        return ""
    example = {"share": "5%", "time": "2s"}[UNITS[unit].dimension]
    return f" (write for example {example}, or a plain number{_in(unit)})"


def render_in(value: int, unit: str | None, place_unit: str | None) -> str:
    """`value` (in `unit`) as the text of a place that keeps `place_unit`. Raises ValueError if it cannot."""
    if unit is None or place_unit is None or place_unit == unit:
        return str(value)
    place = UNITS[place_unit]
    number = value * UNITS[unit].size / place.size
    if place_unit == "cpu_max":
        quota_us = number * _CPU_MAX_PERIOD_US
        return f"{'max' if number >= 1 else _whole(quota_us, value, unit, 'us')} {_CPU_MAX_PERIOD_US}"
    if place.whole:
        return _whole(number, value, unit, place_unit)
    return _decimal(number)


def _whole(number: Fraction, value: int, unit: str, place_unit: str) -> str:
    if number.denominator != 1:
        raise ValueError(
            f"{value} {UNITS[unit].words} cannot be kept in whole {UNITS[place_unit].words}: "
            f"it would be {_decimal(number)}"
        )
    return str(int(number))


def parse_from(raw: str, unit: str | None, place_unit: str | None) -> str:
    """What a place that keeps `place_unit` says, in `unit`; with decimals where it is no whole number of it.

    Raises ValueError for what is no number.
    """
    text = raw.strip()
    number = _parse_cpu_max(text) if place_unit == "cpu_max" else _parse_number(text)
    if unit is not None and place_unit is not None:
        number = number * UNITS[place_unit].size / UNITS[unit].size
    return _decimal(number)


def _parse_number(text: str) -> Fraction:
    if not re.fullmatch(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?", text):
        raise ValueError(f"{text!r} is not a number")
    return Fraction(text)


def _parse_cpu_max(text: str) -> Fraction:
    """A vCPU is one thread: without a limit it has one pCPU at most."""
    quota, _, period = text.partition(" ")
    if quota == "max":
        return Fraction(1)
    if _parse_number(period or str(_CPU_MAX_PERIOD_US)) == 0:
        raise ValueError(f"{text!r} is not QUOTA PERIOD")
    return _parse_number(quota) / _parse_number(period or str(_CPU_MAX_PERIOD_US))


def _decimal(number: Fraction) -> str:
    """`number` with as many decimals as it has, up to nine."""
    scaled = round(abs(number) * 10**_DECIMALS)
    whole, rest = divmod(scaled, 10**_DECIMALS)
    decimals = f".{rest:0{_DECIMALS}d}".rstrip("0").rstrip(".")
    return f"{'-' if number < 0 and scaled else ''}{whole}{decimals}"
