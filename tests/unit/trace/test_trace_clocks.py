# SPDX-License-Identifier: GPL-2.0-only
"""From ticks to nanoseconds: never farther off than the clock itself says."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tracepages import AboutText

from lab.trace.about import About, ClockPair, parse_about
from lab.trace.clocks import (
    TraceClock,
    guest_clock,
    host_clock,
    matched_clock,
    possible_ticks,
    scaling_ratio,
)

DATA = Path(__file__).parents[2] / "data/traces"
SECOND = 1_000_000_000
RATE = Fraction(2_593_907, 1_000_000)  # ticks per ns, as on a machine of 2.6 GHz


def about(pairs: list[tuple[int, int, int]], clock: str = "x86-tsc") -> About:
    return parse_about(AboutText(pairs, clock, {0: "entries 0 bytes 0"}).render())


def clock(pairs: list[tuple[int, int, int]]) -> TraceClock:
    made = host_clock(about(pairs))
    assert made is not None
    return made


def ticks(ns: int) -> int:
    return 10**14 + int(ns * RATE)


def straight(seconds: int, error_ns: int = 20) -> list[tuple[int, int, int]]:
    return [(ticks(at * SECOND), at * SECOND, error_ns) for at in range(seconds + 1)]


@settings(deadline=None)
@given(st.integers(1, 90), st.integers(-5 * SECOND, 100 * SECOND))
def test_a_straight_clock_is_met_to_the_nanosecond_or_so(seconds: int, ns: int) -> None:
    made = clock(straight(seconds, error_ns=0))
    assert abs(made.at(ticks(ns)) - ns) <= made.error_ns + abs(ns) // SECOND
    assert made.error_ns <= 1 + 1_000 + 2


@settings(deadline=None)
@given(
    st.lists(st.integers(-3000, 3000), min_size=3, max_size=40),
    st.lists(st.integers(0, 500), min_size=3, max_size=40),
    st.integers(0, 2**32 - 1),
)
def test_no_time_is_off_by_more_than_the_bound(drifts: list[int], noise: list[int], seed: int) -> None:
    """A clock that NTP adjusts once a second, read with an error that is less than what the pairs say."""
    mono = np.concatenate(([0], np.cumsum([SECOND + drift // 4 for drift in drifts])))
    raw = [ticks(at * SECOND) for at in range(len(mono))]
    random = np.random.default_rng(seed)
    read = [
        int(one + random.integers(-err, err + 1))
        for one, err in zip(mono, np.resize(noise, len(mono)), strict=True)
    ]
    made = clock([(one, ns + SECOND, max(noise)) for one, ns in zip(raw, read, strict=True)])
    asked = random.integers(raw[0], raw[-1], 200)
    true = np.interp(asked.astype(float) - raw[0], np.array(raw, float) - raw[0], mono.astype(float)) + SECOND
    assert np.abs(made(asked) - true).max() <= made.error_ns


def test_of_pairs_that_were_read_together_the_best_counts() -> None:
    pairs = [(ticks(0), 0, 900), (ticks(50_000), 50_000, 10), (ticks(SECOND), SECOND, 15)]
    made = clock(pairs)
    assert made.raw.tolist() == [ticks(50_000), ticks(SECOND)]
    assert made.error_ns < 15 + 1_010


def test_a_window_shorter_than_that_has_its_ends() -> None:
    made = clock([(ticks(at), at, 10) for at in (0, 1_000_000, 2_000_000)])
    assert made.at(ticks(1_500_000)) == pytest.approx(1_500_000, abs=2)


@settings(deadline=None)
@given(st.integers(3, 20), st.data())
def test_a_pair_that_contradicts_the_others_is_left_out(seconds: int, data: st.DataObject) -> None:
    pairs = straight(seconds)
    place = data.draw(st.integers(0, seconds))
    raw, ns, error_ns = pairs[place]
    flipped = data.draw(st.sampled_from([1 << bit for bit in range(36, 61)]))
    pairs[place] = (raw ^ flipped, ns, error_ns)
    made = clock(pairs)
    assert made.dropped == 1
    assert abs(made.at(ticks(SECOND)) - SECOND) <= made.error_ns


def test_pairs_that_say_nothing_give_no_clock() -> None:
    assert host_clock(about([])) is None
    assert host_clock(about([(5, 5, 5)])) is None
    assert host_clock(about([(5, 5, 5), (5, 7, 5)])) is None
    assert possible_ticks(about([(5, 5, 5)])) is None


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 2**64 - 1)] * 3), max_size=12))
def test_pairs_of_noise_never_raise(pairs: list[tuple[int, int, int]]) -> None:
    noise = about(pairs)
    possible_ticks(noise)
    for made in (host_clock(noise), guest_clock(noise, -5, 1.7)):
        if made is not None:
            assert made.error_ns >= 0
            made(np.array([-(2**63), 0, 2**63 - 1], np.int64))


@settings(deadline=None)
@given(
    st.integers(-(2**62), 2**40),
    st.sampled_from([Fraction(1), Fraction(1, 2), scaling_ratio(0x1_4000_0000, 32), Fraction(10007, 9973)]),
    st.integers(0, 60 * SECOND),
)
def test_a_guests_ticks_are_the_hosts_scaled_and_moved(offset: int, ratio: Fraction, ns: int) -> None:
    made = guest_clock(about(straight(60)), offset, ratio)
    assert made is not None
    assert abs(made.at(int(ticks(ns) * ratio) + offset) - ns) <= made.error_ns


def test_a_scaling_ratio_has_as_many_fraction_bits_as_the_vendor_says() -> None:
    assert scaling_ratio(3 << 31, 32) == scaling_ratio(3 << 47, 48) == Fraction(3, 2)


def test_a_guest_cannot_be_reached_by_ticks_where_the_host_traced_with_another_clock() -> None:
    assert guest_clock(about([(0, 0, 0), (SECOND, SECOND, 0)], "mono"), -5) is None


def test_elsewhere_a_guests_own_clock_is_moved_by_what_was_exchanged() -> None:
    made = matched_clock(about([(10, 10, 0), (SECOND, SECOND, 0)], "mono"), offset_ns=5_000, error_ns=70)
    assert made is not None
    assert made.at(123) == 5_123
    assert made.error_ns == 70
    ticking = matched_clock(about(straight(10)), offset_ns=-SECOND, error_ns=70)
    assert ticking is not None
    assert ticking.at(ticks(5 * SECOND)) == pytest.approx(4 * SECOND, abs=2)
    assert ticking.error_ns > 70


def test_real_pairs_agree_with_each_other() -> None:
    real = parse_about((DATA / "host-6.18-tsc/about").read_bytes())
    made = host_clock(real)
    assert made is not None
    assert made.dropped == 0
    assert made.error_ns < 2_000
    for pair in real.pairs:
        assert abs(made.at(pair.raw) - pair.mono_ns) <= made.error_ns + pair.error_ns


def test_events_may_lie_a_little_outside_of_the_pairs() -> None:
    first, last = possible_ticks(about(straight(10))) or (0, 0)
    assert first < ticks(0) < ticks(10 * SECOND) < last < ticks(100 * SECOND)
    assert isinstance(first, int)
    assert ClockPair(ticks(0), 0, 20) == about(straight(10)).pairs[0]
