# SPDX-License-Identifier: GPL-2.0-only
"""The starts of a guest: one that was started anew has a stream, a clock and counters for each.

Which of them a time belongs to is known by the host's clock: the lab wrote down when it ended one for the next.
Within one, the guest may have been booted several times before it came up; what counts is the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lab.measure.happened import EventLike
from lab.measure.probestream import ProbeStream

_BEGIN_NS, _END_NS = 0, 2**63 - 1


@dataclass(frozen=True)
class GuestBoot:
    """One start of a guest, from `start_ns` to `end_ns` of the host's clock: its own stream, and the host's with
    only the arrivals of that time."""

    start_ns: int
    end_ns: int
    guest: ProbeStream
    host: ProbeStream

    def holds(self, start_ns: int, end_ns: int) -> bool:
        """Whether the stretch lies within this start."""
        return self.start_ns <= start_ns and end_ns <= self.end_ns


def restart_times(events: Sequence[EventLike], node: str) -> tuple[int, ...]:
    """When `node` was ended to be started anew, by the host's clock."""
    return tuple(event.t_ns for event in events if event.kind == "restart" and event.data.get("node") == node)


def split_boots(
    streams: Sequence[ProbeStream], host: ProbeStream, restarts_ns: Sequence[int]
) -> tuple[GuestBoot, ...]:
    """The starts of one guest out of its streams in order, of which the last may be missing."""
    edges = (_BEGIN_NS, *restarts_ns, _END_NS)
    padded = (*streams, *(ProbeStream(None),) * len(restarts_ns))
    return tuple(
        GuestBoot(start_ns, end_ns, stream, _between(host, start_ns, end_ns))
        for start_ns, end_ns, stream in zip(edges, edges[1:], padded, strict=False)
    )


def _between(host: ProbeStream, start_ns: int, end_ns: int) -> ProbeStream:
    if (start_ns, end_ns) == (_BEGIN_NS, _END_NS):
        return host
    arrivals = tuple(one for one in host.arrivals if start_ns <= one.t_ns < end_ns)
    return replace(host, arrivals=arrivals)


def boot_at(boots: Sequence[GuestBoot], t_ns: int) -> GuestBoot:
    """The start that a time of the host's clock belongs to."""
    return next(boot for boot in reversed(boots) if boot.start_ns <= t_ns)
