# SPDX-License-Identifier: GPL-2.0-only
"""One moment on the clocks of several guests.

The probe on the host tells of every guest's last sample when it was taken, by the guest's clock, and when it came,
by the host's. It cannot have come before it was taken, so the smallest difference seen is that of the clocks and
the time of the quickest delivery, about a millisecond, which is much the same for all guests.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from lab.govern.seen import Seen


def clock_offsets(seen: Sequence[Seen], nodes: Iterable[str]) -> Mapping[str, int]:
    """host minus guest, ns, by node; a guest of which nothing was seen is missing."""
    return {node: min(found) for node in nodes if (found := _offsets(seen, node))}


def _offsets(seen: Sequence[Seen], node: str) -> list[int]:
    steals = [one.guests[node].steal for one in seen if node in one.guests]
    return [steal.arrived_ns - steal.guest_ns for steal in steals if steal is not None]


def guest_time(offsets: Mapping[str, int], node: str, host_ns: int) -> int:
    """A moment of the host's clock by that of `node`; 0, which means at once, where its clock is not known."""
    return max(0, host_ns - offsets[node]) if node in offsets else 0
