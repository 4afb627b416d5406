# SPDX-License-Identifier: GPL-2.0-only
"""Histograms of lengths of time in powers of two."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from markupsafe import Markup

from lab.report.scale import Scale
from lab.report.svg import drawing, line, rect, text
from lab.trace.distribution import Bucket

_WIDTH, _HEIGHT = 300.0, 132.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 40.0, 8.0, 20.0, 102.0
#: Marks of the axis, in us, with their names.
_NAMED = (
    (1, "1 us"),
    (10, "10 us"),
    (100, "100 us"),
    (1_000, "1 ms"),
    (10_000, "10 ms"),
    (100_000, "100 ms"),
    (1_000_000, "1 s"),
    (10_000_000, "10 s"),
)


def power(bucket: Bucket) -> int:
    """0 for the bucket from 0 to 1 us, n for that from 2^(n-1) us: its place on an axis of powers of two."""
    return bucket.high_us.bit_length() - 1


def render_length(length_ns: float) -> str:
    """``850 ns``, ``12.5 us``, ``4.0 ms``, ``1.2 s``: three digits."""
    for bound, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "us")):
        if length_ns >= bound:
            value = length_ns / bound
            return f"{value:.{0 if value >= 100 else 1}f} {unit}"
    return f"{length_ns:.0f} ns"


def draw_histogram(
    ident: str, title: str, buckets: Sequence[Bucket], powers: tuple[int, int], class_: str
) -> Markup:
    """`buckets` on an axis that has all from powers[0] up to, but not with, powers[1]: the same for all that are
    compared."""
    low, high = powers
    across = Scale(low, high, _LEFT, _WIDTH - _RIGHT)
    most = max((one.count for one in buckets), default=1)
    parts = [
        text(_LEFT, _TOP - 8, title, "name"),
        line(_LEFT, _TOP, _WIDTH - _RIGHT, _TOP, "grid"),
        line(_LEFT, _BOTTOM, _WIDTH - _RIGHT, _BOTTOM, "axis"),
        text(_LEFT - 4, _TOP + 4, str(most), "small", "end"),
        text(_LEFT - 4, _BOTTOM, "0", "small", "end"),
        *_bars(buckets, across, Scale(0, most, _BOTTOM, _TOP), class_),
        *_names(low, high, across),
    ]
    return drawing(ident, title, _about(buckets), (_WIDTH, _HEIGHT), parts, "histogram")


def _bars(buckets: Sequence[Bucket], across: Scale, up: Scale, class_: str) -> Iterator[Markup]:
    for one in buckets:
        if one.count:
            x, end, y = across(power(one)), across(power(one) + 1), up(one.count)
            yield rect(x + 0.5, y, end - x - 1, _BOTTOM - y, class_, _bucket_text(one))


def _bucket_text(one: Bucket) -> str:
    return f"{one.count} of {render_length(1e3 * one.low_us)} to {render_length(1e3 * one.high_us)}"


def _names(low: int, high: int, across: Scale) -> Iterator[Markup]:
    before = -100.0
    for length_us, name in _NAMED:
        place = 1 + math.log2(length_us)
        x = across(place)
        if low <= place <= high and x - before > 44:
            before = x
            yield line(x, _BOTTOM, x, _BOTTOM + 4, "axis")
            yield text(x, _BOTTOM + 16, name, "small", "end" if x > _WIDTH - 24 else "middle")


def _about(buckets: Sequence[Bucket]) -> str:
    total = sum(one.count for one in buckets)
    return (
        f"{total} in all: {', '.join(_bucket_text(one) for one in buckets if one.count)}"
        if total
        else "None."
    )
