# SPDX-License-Identifier: GPL-2.0-only
"""Text forms of quantities: round trips, and refusals that say why."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.units import (
    MAX_CPU,
    format_cpulist,
    format_seconds,
    parse_cpulist,
    parse_duration_ns,
    parse_percent,
    parse_size_mib,
)

CPUS = st.sets(st.integers(0, MAX_CPU), max_size=40)


@settings(deadline=None)
@given(CPUS)
def test_cpulist_round_trip(cpus: set[int]) -> None:
    assert parse_cpulist(format_cpulist(cpus)) == tuple(sorted(cpus))


@settings(deadline=None)
@given(st.integers(0, MAX_CPU - 50), st.integers(0, 50))
def test_a_range_is_written_as_one(first: int, length: int) -> None:
    text = format_cpulist(range(first, first + length + 1))
    assert text == (str(first) if length == 0 else f"{first}-{first + length}")


@settings(deadline=None)
@given(st.lists(st.integers(0, 200), min_size=1))
def test_order_and_repetition_do_not_matter(cpus: list[int]) -> None:
    assert parse_cpulist(", ".join(map(str, cpus))) == tuple(sorted(set(cpus)))


@pytest.mark.parametrize(
    "text", ["a", "1-", "-1", "3-1", "0-3:2/4", str(MAX_CPU + 1), "0-99999999999", "1 2"]
)
def test_bad_cpulists_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_cpulist(text)


@pytest.mark.parametrize(("unit", "factor"), [("ns", 1), ("us", 10**3), ("ms", 10**6), ("s", 10**9)])
@settings(deadline=None)
@given(st.integers(0, 10**6))
def test_durations_scale_with_their_unit(unit: str, factor: int, value: int) -> None:
    assert parse_duration_ns(f"{value}{unit}") == value * factor
    assert parse_duration_ns(f" {value} {unit} ") == value * factor


@settings(deadline=None)
@given(st.integers(0, 10**6))
def test_sizes_scale_with_their_unit(value: int) -> None:
    assert parse_size_mib(f"{value}MiB") == parse_size_mib(f"{value}M") == value
    assert parse_size_mib(f"{value}GiB") == parse_size_mib(f"{value} G") == value * 1024
    assert parse_size_mib(f"{value}.5GiB") == value * 1024 + 512


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 99))
def test_percent(whole: int, hundredths: int) -> None:
    assert parse_percent(f"{whole}.{hundredths:02}%") == pytest.approx(whole + hundredths / 100)


@pytest.mark.parametrize("text", ["", "20", "20 sec", "s", "-1s", "1h", "1e3s", "9" * 400 + "s"])
def test_bad_durations_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_duration_ns(text)


@pytest.mark.parametrize("text", ["", "256", "256MB", "0.3MiB", "-1GiB", "9" * 400 + "MiB"])
def test_bad_sizes_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_size_mib(text)


@pytest.mark.parametrize("text", ["", "50", "0.5", "-1%", "50 percent", "9" * 400 + "%"])
def test_bad_percentages_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_percent(text)


@settings(deadline=None)
@given(st.text())
def test_any_text_is_parsed_or_refused_with_a_value_error(text: str) -> None:
    for parse in (parse_cpulist, parse_duration_ns, parse_size_mib, parse_percent):
        try:
            parse(text)
        except ValueError as error:
            assert str(error)


def test_seconds() -> None:
    assert format_seconds(20_000_000_000) == "20.0 s"
