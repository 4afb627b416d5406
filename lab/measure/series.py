# SPDX-License-Identifier: GPL-2.0-only
"""Cumulative counters over time, and what they were between two readings."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

_Reading = TypeVar("_Reading")


@dataclass(frozen=True)
class Series:
    """Readings of one counter (or several that were read together): `values[i]` was read at `times_ns[i]`.

    Times increase. Between two readings a counter is taken to grow evenly.
    """

    times_ns: tuple[int, ...]
    values: tuple[tuple[int, ...], ...]

    def covers(self, t_ns: int) -> bool:
        """Whether `t_ns` lies between the first and the last reading."""
        return bool(self.times_ns) and self.times_ns[0] <= t_ns <= self.times_ns[-1]

    def at(self, t_ns: int) -> tuple[float, ...]:
        """The counters at `t_ns`, interpolated. Raises ValueError where `covers` is false."""
        if not self.covers(t_ns):
            raise ValueError(f"time {t_ns} lies outside of the readings")
        right = bisect_right(self.times_ns, t_ns)
        if right == len(self.times_ns):
            return tuple(float(value) for value in self.values[-1])
        before_ns, after_ns = self.times_ns[right - 1], self.times_ns[right]
        share = (t_ns - before_ns) / (after_ns - before_ns)
        return tuple(
            low + (high - low) * share
            for low, high in zip(self.values[right - 1], self.values[right], strict=True)
        )

    def growth(self, start_ns: int, end_ns: int) -> tuple[int, ...]:
        """How much each counter grew between the two times, rounded. Raises ValueError as `at` does."""
        first, last = self.at(start_ns), self.at(end_ns)
        return tuple(round(high - low) for low, high in zip(first, last, strict=True))

    def widest_gap_ns(self, start_ns: int, end_ns: int) -> int:
        """The longest time without a reading within the stretch, its edges counted as readings."""
        inside = [t_ns for t_ns in self.times_ns if start_ns < t_ns < end_ns]
        edges = [start_ns, *inside, end_ns]
        return max(after - before for before, after in pairwise(edges))


def series_of(readings: Sequence[tuple[int, tuple[int, ...]]]) -> Series:
    """A series out of (time, counters) pairs in order; one not later than the one before is left out."""
    times: list[int] = []
    values: list[tuple[int, ...]] = []
    for t_ns, counters in readings:
        if not times or t_ns > times[-1]:
            times.append(t_ns)
            values.append(counters)
    return Series(tuple(times), tuple(values))


def split_at(
    readings: Iterable[_Reading], when_ns: Callable[[_Reading], int], edges_ns: Sequence[int]
) -> tuple[list[_Reading], ...]:
    """The readings before the first edge, between each two, and after the last: one list more than edges."""
    groups: tuple[list[_Reading], ...] = tuple([] for _ in range(len(edges_ns) + 1))
    for reading in readings:
        groups[bisect_right(edges_ns, when_ns(reading))].append(reading)
    return groups
