# SPDX-License-Identifier: GPL-2.0-only
"""Interpolation of cumulative counters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.measure.series import Series, series_of

TIMES = st.lists(st.integers(0, 10**15), min_size=2, max_size=30, unique=True).map(sorted)


@given(TIMES, st.integers(0, 1000), st.integers(0, 10**9), st.data())
def test_interpolation_is_exact_on_linear_data(
    times: list[int], slope: int, start: int, data: st.DataObject
) -> None:
    series = series_of([(t, (start + slope * t,)) for t in times])
    t = data.draw(st.integers(times[0], times[-1]))
    assert series.at(t)[0] == pytest.approx(start + slope * t, rel=1e-12, abs=1e-6)


@given(TIMES, st.data())
def test_growth_of_a_counter_is_never_negative_and_adds_up(times: list[int], data: st.DataObject) -> None:
    steps = data.draw(st.lists(st.integers(0, 10**9), min_size=len(times), max_size=len(times)))
    values = [sum(steps[: i + 1]) for i in range(len(times))]
    series = series_of([(t, (value,)) for t, value in zip(times, values, strict=True)])
    a, b, c = sorted(data.draw(st.tuples(*[st.integers(times[0], times[-1])] * 3)))
    assert series.growth(a, b)[0] >= 0
    assert series.growth(a, b)[0] + series.growth(b, c)[0] == pytest.approx(series.growth(a, c)[0], abs=2)
    assert series.growth(times[0], times[-1])[0] == values[-1] - values[0]


def test_nothing_is_made_up_outside_of_the_readings() -> None:
    series = Series((10, 20), ((1,), (2,)))
    with pytest.raises(ValueError, match="outside of the readings"):
        series.at(21)
    with pytest.raises(ValueError, match="outside of the readings"):
        Series((), ()).at(0)


def test_widest_gap_counts_the_edges() -> None:
    series = Series((10, 20, 50), ((0,), (0,), (0,)))
    assert series.widest_gap_ns(12, 60) == 30
    assert series.widest_gap_ns(18, 22) == 2
    assert series.widest_gap_ns(0, 15) == 10
