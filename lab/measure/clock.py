# SPDX-License-Identifier: GPL-2.0-only
"""What the guest's clock says when the host's clock says something else.

Both are CLOCK_MONOTONIC, with different starts and, where a clock is calibrated badly, different rates. What
is known: a guest's sample that ends at byte B of its stream had been taken before the host had B bytes. So
for every read from the port,

    offset <= (host time of the read) - (guest time of the newest whole sample in it)

and the smallest of these is an upper bound, off by the delivery time of the quickest read. Messages in one
direction bound it from one side only. Exchanges (a command from the host whose start and end were also read
on the guest's clock) bound it from both: the guest's times lie between the host's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lab.measure.probestream import Arrival, ProbeStream
from lab.measure.windows import ClockMatch

#: Added to every error: the quickest delivery still takes a wake-up and two copies.
DELIVERY_NS = 1_000_000
#: The part of the reads, quickest first, whose spread is taken as the uncertainty of the quickest.
QUICK_SHARE = 0.1


@dataclass(frozen=True)
class Exchange:
    """host_t0 happened before guest_t0, guest_t0 before guest_t1, guest_t1 before host_t1."""

    host_t0_ns: int
    guest_t0_ns: int
    guest_t1_ns: int
    host_t1_ns: int


def match_clocks(
    node: str,
    guest: ProbeStream,
    host: ProbeStream,
    exchanges: Sequence[Exchange] = (),
    between_ns: tuple[int, int] | None = None,
) -> ClockMatch | None:
    """The clock of `node` against the host's; None where nothing of its stream arrived.

    `between_ns` restricts it to what arrived in that stretch of the host's clock, for clocks whose rates
    differ. The error is the spread of the quickest tenth of the reads, and 1 ms; where exchanges bound the
    offset from below more tightly than that, it is what they leave; where they contradict it, it is as large
    as the contradiction.
    """
    bounds = sorted(_upper_bounds(node, guest, host, between_ns))
    if not bounds:
        return None
    upper_ns = min([bounds[0], *(exchange.host_t1_ns - exchange.guest_t1_ns for exchange in exchanges)])
    quick = bounds[: max(2, round(len(bounds) * QUICK_SHARE))]
    error_ns = quick[-1] - quick[0] + DELIVERY_NS
    if exchanges:
        lower_ns = max(exchange.host_t0_ns - exchange.guest_t0_ns for exchange in exchanges)
        error_ns = (
            min(error_ns, upper_ns - lower_ns) if lower_ns <= upper_ns else lower_ns - upper_ns + error_ns
        )
    return ClockMatch(node, upper_ns, error_ns)


def _upper_bounds(
    node: str, guest: ProbeStream, host: ProbeStream, between_ns: tuple[int, int] | None
) -> list[int]:
    bounds: list[int] = []
    position = 0
    for arrival in _last_stream(node, host):
        first = position
        while position < len(guest.samples) and guest.samples[position].end_offset <= arrival.offset:
            position += 1
        inside = between_ns is None or between_ns[0] <= arrival.t_ns <= between_ns[1]
        if position > first and inside:
            bounds.append(arrival.t_ns - guest.samples[position - 1].t1_ns)
    return bounds


def _last_stream(node: str, host: ProbeStream) -> list[Arrival]:
    """The arrivals of `node` since it was last started: its offsets fall when it is started anew."""
    arrivals = [arrival for arrival in host.arrivals if arrival.guest == node]
    starts = [0, *(i for i in range(1, len(arrivals)) if arrivals[i].offset < arrivals[i - 1].offset)]
    return arrivals[starts[-1] :]
