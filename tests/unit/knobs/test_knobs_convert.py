# SPDX-License-Identifier: GPL-2.0-only
"""Conversions between a knob's value and what a place holds, both ways, and the values that cannot be."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.knobs.convert import canonical, conversion, fit, from_raw, parse_bool, same_value, to_raw
from lab.knobs.model import Backend, Conversion, Knob
from lab.knobs.quantities import UNITS, parse_from, parse_quantity, render_in
from lab.units import format_cpulist, parse_cpulist

SHARES = [name for name, unit in UNITS.items() if unit.dimension == "share"]
TIMES = [name for name, unit in UNITS.items() if unit.dimension == "time"]
#: A knob's own unit is one of whole numbers.
OWN_UNITS = [name for name, unit in UNITS.items() if unit.whole]
VCPUS = st.integers(1, 300)


@st.composite
def units(draw: st.DrawFn) -> tuple[str, str]:
    own = draw(st.sampled_from(OWN_UNITS))
    return own, draw(st.sampled_from(SHARES if own in SHARES else TIMES))


@st.composite
def cpulists(draw: st.DrawFn) -> tuple[str, int]:
    vcpus = draw(VCPUS)
    return format_cpulist(draw(st.sets(st.integers(0, vcpus - 1)))), vcpus


@given(units(), st.integers(0, 10**15))
def test_what_a_place_can_hold_comes_back(pair: tuple[str, str], value: int) -> None:
    own, place = pair
    try:
        raw = render_in(value, own, place)
    except ValueError:
        assert place != own
        return
    if place == "cpu_max" and value * UNITS[own].size > 1:
        assert parse_from(raw, own, place) == str(1 / UNITS[own].size)  # no vCPU has more than one pCPU
    else:
        assert parse_from(raw, own, place) == str(value)


@given(units(), st.integers(0, 10**12))
def test_what_a_place_says_is_kept_to_the_digit(pair: tuple[str, str], number: int) -> None:
    own, place = pair
    if not UNITS[place].whole:
        return
    read = parse_from(str(number), own, place)
    assert abs(Fraction(read) * UNITS[own].size - number * UNITS[place].size) <= UNITS[own].size * Fraction(
        1, 10**8
    )


@given(units(), st.integers(1, 10**6))
def test_whole_numbers_of_a_larger_unit_fit_every_smaller_one(pair: tuple[str, str], value: int) -> None:
    own, place = pair
    if UNITS[own].size >= UNITS[place].size and UNITS[place].whole:
        assert Fraction(render_in(value, own, place)) == value * UNITS[own].size / UNITS[place].size


@given(cpulists(), st.booleans())
def test_cpulists_come_back(given_list: tuple[str, int], complement: bool) -> None:
    value, vcpus = given_list
    how = Conversion("cpulist", complement=complement, vcpus=vcpus)
    assert from_raw(how, to_raw(how, value)) == value


@given(cpulists())
def test_a_complement_has_exactly_the_others(given_list: tuple[str, int]) -> None:
    value, vcpus = given_list
    raw = to_raw(Conversion("cpulist", complement=True, vcpus=vcpus), value)
    assert set(parse_cpulist(raw)) | set(parse_cpulist(value)) == set(range(vcpus))
    assert not set(parse_cpulist(raw)) & set(parse_cpulist(value))


@given(
    st.booleans(),
    st.booleans(),
    st.sampled_from([("0", "1"), ("N", "Y"), ("off", "on"), ("enabled", "disabled"), ("1", "0")]),
)
def test_bools_come_back(value: bool, inverted: bool, words: tuple[str, str]) -> None:
    how = Conversion("bool", inverted=inverted, words=words)
    raw = to_raw(how, str(int(value)))
    assert raw == words[value != inverted]
    assert from_raw(how, raw + "\n") == str(int(value))


@given(st.text(max_size=12))
def test_any_text_is_a_value_or_says_why_not(text: str) -> None:
    for knob in (
        Knob("k", "guest", "bool", ""),
        Knob("k", "guest", "integer", "", unit="ms", minimum=10, maximum=1000),
        Knob("k", "guest", "integer", ""),
        Knob("k", "guest", "cpulist", "", leaves=1),
        Knob("k", "guest", "text", "", choices=("a", "b")),
    ):
        try:
            value = canonical(knob, text, 4)
        except ValueError as error:
            assert str(error)
        else:
            assert canonical(knob, value, 4) == value
            assert same_value(knob.kind, text, value) or knob.kind == "integer"


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("500", "percent_x100", 500),
        ("5%", "percent_x100", 500),
        ("0.05 %", "percent_x100", 5),
        ("50%", "percent", 50),
        ("2s", "ms", 2000),
        ("1.5s", "ms", 1500),
        ("250us", "ns", 250_000),
        ("-1", "us", -1),
        ("3.0", None, 3),
    ],
)
def test_quantities(text: str, unit: str | None, value: int) -> None:
    assert parse_quantity(text, unit) == value


@pytest.mark.parametrize(
    ("text", "unit", "why"),
    [
        ("x", "ms", "'x' is not a number"),
        ("", None, "'' is not a number"),
        ("1.5", "ms", "'1.5' is not a whole number of ms"),
        ("0.001%", "percent_x100", "not a whole number of hundredths of a per cent"),
        ("5%", "ms", "'5%' is no duration (write for example 2s"),
        ("2s", "percent", "'2s' is no percentage (write for example 5%"),
        ("2h", "ms", "'2h' is no duration"),
        ("5%", None, "'5%' has a unit, but this is a plain number"),
        ("1e5", "ms", "'1e5' is not a number"),
    ],
)
def test_quantities_that_cannot_be(text: str, unit: str | None, why: str) -> None:
    with pytest.raises(ValueError) as raised:
        parse_quantity(text, unit)
    assert why in str(raised.value)


@pytest.mark.parametrize(
    ("value", "unit", "place", "raw"),
    [
        (2000, "ms", "s", "2"),
        (400, "percent_x100", "ratio", "0.04"),
        (400, "percent_x100", "percent", "4"),
        (50, "percent", "cpu_max", "50000 100000"),
        (100, "percent", "cpu_max", "max 100000"),
        (-1, "us", "us", "-1"),
        (7, None, None, "7"),
    ],
)
def test_what_is_written(value: int, unit: str | None, place: str | None, raw: str) -> None:
    assert render_in(value, unit, place) == raw


def test_what_cannot_be_written_says_why() -> None:
    with pytest.raises(ValueError, match=r"1500 ms cannot be kept in whole s: it would be 1.5"):
        render_in(1500, "ms", "s")


@pytest.mark.parametrize(
    ("raw", "unit", "place", "value"),
    [
        ("max 100000\n", "percent", "cpu_max", "100"),
        ("25000 50000", "percent", "cpu_max", "50"),
        ("25000", "percent", "cpu_max", "25"),
        ("1500", "s", "ms", "1.5"),
        ("0.04", "percent_x100", "ratio", "400"),
        (" 12\n", None, None, "12"),
    ],
)
def test_what_is_read(raw: str, unit: str | None, place: str | None, value: str) -> None:
    assert parse_from(raw, unit, place) == value


@pytest.mark.parametrize(
    ("raw", "place"), [("none", "ms"), ("", "ms"), ("5 0", "cpu_max"), ("x 1", "cpu_max")]
)
def test_what_is_no_number_is_not_read(raw: str, place: str) -> None:
    with pytest.raises(ValueError):
        parse_from(raw, "ms" if place == "ms" else "percent", place)


@pytest.mark.parametrize(
    ("kind", "wanted", "observed", "same"),
    [
        ("bool", "1", "Y\n", True),
        ("bool", "1", "0", False),
        ("bool", "1", "maybe", False),
        ("cpulist", "0-1", "0,1", True),
        ("cpulist", "", "\n", True),
        ("cpulist", "0", "nonsense", False),
        ("integer", "500", "0500", True),
        ("integer", "500", "501", False),
        ("integer", "500", "five hundred", False),
        ("text", "0-1", "0,1", False),
        ("text", "on ", "on", True),
    ],
)
def test_values_are_compared_by_what_they_mean(kind, wanted, observed, same) -> None:  # type: ignore[no-untyped-def]
    assert same_value(kind, wanted, observed) is same


def test_words_of_a_place_come_before_the_common_ones() -> None:
    assert parse_bool("0", ("1", "0"))
    assert not parse_bool("n")
    with pytest.raises(ValueError, match="neither on nor off"):
        parse_bool("2")


def test_bounds_of_a_place_are_in_its_own_unit() -> None:
    knob = Knob("k", "guest", "integer", "", unit="ms", minimum=10, maximum=100_000)
    slow = Backend("k", "old", "file", "/old", unit="s", minimum=1, maximum=10)
    fast = Backend("k", "new", "file", "/new")
    fits = fit(knob, (fast, slow), "20s", 1)
    assert [(one.backend.path, one.raw) for one in fits.fits] == [("/new", "20000")]
    assert fits.left_out == ("old (file /old): 20 s is more than 10",)
    with pytest.raises(ValueError, match=r"no place can hold that: old \(file /old\): 0 s is less than 1"):
        fit(Knob("k", "guest", "integer", "", unit="ms"), (slow,), "0", 1)


def test_a_conversion_has_all_that_a_place_says() -> None:
    knob = Knob("k", "guest", "cpulist", "")
    place = Backend("k", "g", "file", "/f", complement=True)
    assert conversion(knob, place, 4) == Conversion("cpulist", complement=True, vcpus=4)
