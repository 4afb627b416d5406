# SPDX-License-Identifier: GPL-2.0-only
"""From a trace's own clock to the host's CLOCK_MONOTONIC, with a bound of the error.

The recorder reads both clocks of its machine about once a second. Between two such pairs the one is taken to be a
straight line against the other: CLOCK_MONOTONIC is computed from the time stamp counter with a rate that NTP
changes slowly. How straight it is shows where a pair lies that was left out of the line.

    host trace:    host ticks -> its pairs -> host ns
    guest trace:   guest ticks -> host ticks (KVM: guest = host * ratio + offset) -> the host's pairs -> host ns
    else:          guest ticks -> the guest's pairs -> guest ns -> + offset of the two clocks -> host ns
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from statistics import median

import numpy as np
from numpy.typing import NDArray

from lab.trace.about import About, ClockPair
from lab.trace.model import Times

#: Pairs as near to each other as that stand for one knot of the line: the best of them is taken.
TOGETHER_NS = 100_000_000
#: What lies farther off the line through all pairs cannot be one (a clock is adjusted by at most 500 ppm).
ASTRAY_NS, ASTRAY_SHARE = 10_000_000, 0.01
#: Events lie between the first and the last pair of a recording, with room for pairs that were lost: this and a
#: tenth. Where its end is missing, it may have gone on for long.
ROOM_NS, ROOM_CUT_NS = 10_000_000_000, 24 * 3600 * 1_000_000_000
#: What a clock's rate may change by between two pairs without a pair between them that would show it.
UNSEEN_SHARE = 1e-6
#: Clocks whose ticks are the nanoseconds of CLOCK_MONOTONIC.
MONO = "mono"
#: Ticks, times and differences beyond this are nobody's.
_FAR = 1 << 62


@dataclass(frozen=True)
class TraceClock:
    """A line through knots: `raw` in the trace's ticks, `ns` in host nanoseconds, both rising; `slope` in ns per
    tick, between them and beyond their ends. No time it gives is off by more than `error_ns`.

    `dropped` is how many of the pairs it was made from made no sense.
    """

    raw: NDArray[np.int64]
    ns: Times
    slope: NDArray[np.float64]
    error_ns: int
    dropped: int = 0

    def __call__(self, raw: NDArray[np.int64]) -> Times:
        """Host nanoseconds of `raw`. Differences are taken first, so that they are exact to the nanosecond."""
        piece = np.searchsorted(self.raw[1:-1], raw, side="right")
        away = np.rint((raw - self.raw[piece]) * self.slope[piece])
        return self.ns[piece] + np.clip(away, -_FAR, _FAR).astype(np.int64)

    def at(self, raw: int) -> int:
        """Host nanoseconds of one time."""
        return int(self(np.array([raw], np.int64))[0])


def host_clock(about: About) -> TraceClock | None:
    """The clock of a trace against CLOCK_MONOTONIC of the machine that recorded it; None where no two pairs tell.

    For the clock `mono` the two are the same, and its pairs only say how well.
    """
    if about.clock == MONO:
        return _same(about.pairs)
    knots, dropped = _knots(about.pairs)
    return _line(knots, dropped) if len(knots) > 1 else None


def guest_clock(host_about: About, offset: int, ratio: float | Fraction = 1) -> TraceClock | None:
    """The clock x86-tsc of a guest's trace against the host's CLOCK_MONOTONIC; None where the host's pairs do not
    tell, or are of another clock.

    KVM gives the guest `host * ratio + offset` (debugfs kvm/<pid>-<fd>/vcpuN/tsc-offset, a signed number, and
    tsc-scaling-ratio: the ratio in units of 2**-tsc-scaling-ratio-frac-bits, see `scaling_ratio`).
    """
    if host_about.clock != "x86-tsc" or ratio <= 0:
        return None
    knots, dropped = _knots(host_about.pairs)
    exact = Fraction(ratio)
    seen = [replace(knot, raw=_signed(int(knot.raw * exact) + offset)) for knot in knots]
    if len(seen) < 2 or any(not -_FAR < one.raw < two.raw < _FAR for one, two in pairwise(seen)):
        return None
    return _line(seen, dropped)


def scaling_ratio(value: int, fraction_bits: int) -> Fraction:
    """KVM's tsc-scaling-ratio as a number: guest ticks per host tick (32 fraction bits on AMD, 48 on Intel)."""
    return Fraction(value, 1 << fraction_bits)


def matched_clock(about: About, offset_ns: int, error_ns: int) -> TraceClock | None:
    """The clock of a guest's trace against the host's CLOCK_MONOTONIC, where the guest's own CLOCK_MONOTONIC is
    known to be `offset_ns` behind the host's, give or take `error_ns`."""
    own = host_clock(about)
    if own is None:
        return None
    return replace(own, ns=own.ns + offset_ns, error_ns=own.error_ns + error_ns)


def covered_ticks(about: About) -> tuple[int, int] | None:
    """First and last time of the trace's own clock that its pairs tell of; None where there are not two."""
    knots, _ = _knots(about.pairs)
    return (knots[0].raw, knots[-1].raw) if len(knots) > 1 else None


def possible_ticks(about: About) -> tuple[int, int] | None:
    """Between which times of the trace's own clock its events can lie; None where its pairs do not tell."""
    knots, _ = _knots(about.pairs)
    if len(knots) < 2:
        return None
    first, last = knots[0], knots[-1]
    span_ns = last.mono_ns - first.mono_ns
    room_ns = ROOM_NS + span_ns // 10 if about.complete else ROOM_CUT_NS
    room = room_ns * (last.raw - first.raw) // span_ns
    return max(first.raw - room, -_FAR), min(last.raw + room, _FAR)


def _same(pairs: Sequence[ClockPair]) -> TraceClock:
    off = max((abs(pair.raw - pair.mono_ns) - pair.error_ns for pair in pairs), default=0)
    ends = np.array([0, 1], np.int64)
    return TraceClock(ends, ends.copy(), np.ones(1), min(max(off, 0), _FAR))


def _knots(pairs: Sequence[ClockPair]) -> tuple[list[ClockPair], int]:
    """The best pair of each handful, in order, and how many pairs made no sense."""
    usable = (pair for pair in pairs if max(pair.raw, pair.mono_ns, pair.error_ns) < _FAR)
    good = _sensible(sorted(usable, key=lambda pair: pair.raw))
    knots: list[ClockPair] = []
    handful = 0
    for pair in good:
        if knots and pair.mono_ns - handful < TOGETHER_NS:
            knots[-1] = min(knots[-1], pair, key=lambda one: one.error_ns)
        else:
            handful = pair.mono_ns
            knots.append(pair)
    # A window shorter than a handful has its ends, which is better than nothing.
    if len(knots) == 1 and len(good) > 1:
        knots = [good[0], good[-1]]
    return knots, len(pairs) - len(good)


def _sensible(pairs: list[ClockPair]) -> list[ClockPair]:
    """Those of `pairs` (by raw) that lie near the line that most of them lie on, and rise."""
    if len(pairs) < 3:
        return _rising(pairs)
    middle = pairs[len(pairs) // 2]
    near = _near_line(pairs, middle)
    if len(near) * 2 > len(pairs):
        return _rising(near)
    # The middle one itself is astray.
    others = (_near_line(pairs, pair) for pair in pairs)
    return _rising(max(others, key=len))


def _near_line(pairs: list[ClockPair], through: ClockPair) -> list[ClockPair]:
    slopes = [
        (pair.mono_ns - through.mono_ns) / (pair.raw - through.raw)
        for pair in pairs
        if pair.raw != through.raw
    ]
    if not slopes:
        return [through]
    slope = median(slopes)
    return [pair for pair in pairs if _is_near(pair, through, slope)]


def _is_near(pair: ClockPair, through: ClockPair, slope: float) -> bool:
    expected = (pair.raw - through.raw) * slope
    off = abs(pair.mono_ns - through.mono_ns - expected)
    return off <= ASTRAY_NS + pair.error_ns + ASTRAY_SHARE * abs(expected)


def _rising(pairs: list[ClockPair]) -> list[ClockPair]:
    rising: list[ClockPair] = []
    for pair in pairs:
        if not rising or (pair.raw > rising[-1].raw and pair.mono_ns > rising[-1].mono_ns):
            rising.append(pair)
    return rising


def _line(knots: Sequence[ClockPair], dropped: int) -> TraceClock:
    raw = np.array([knot.raw for knot in knots], np.int64)
    ns = np.array([knot.mono_ns for knot in knots], np.int64)
    slope = np.diff(ns) / np.diff(raw)
    # A rounded tick and a rounded nanosecond.
    rounding = int(np.ceil(slope.max())) + 1
    unseen = int(np.ceil(np.diff(ns).max() * UNSEEN_SHARE))
    error_ns = max(knot.error_ns for knot in knots) + max(_bend(knots), unseen) + rounding
    return TraceClock(raw, ns, slope, error_ns, dropped)


def _bend(knots: Sequence[ClockPair]) -> int:
    """How far a knot lies from the line between its neighbours, at most."""
    bends = [
        abs(knot.mono_ns - before.mono_ns - _between(before, knot, after))
        for before, knot, after in zip(knots, knots[1:], knots[2:], strict=False)
    ]
    return int(max(bends, default=0)) + 1


def _between(before: ClockPair, knot: ClockPair, after: ClockPair) -> Fraction:
    return Fraction((after.mono_ns - before.mono_ns) * (knot.raw - before.raw), after.raw - before.raw)


def _signed(ticks: int) -> int:
    """As 64 bits that wrap, which is what the guest's counter does."""
    return (ticks + (1 << 63)) % (1 << 64) - (1 << 63)
