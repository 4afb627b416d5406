# SPDX-License-Identifier: GPL-2.0-only
"""What the host's probe saw last of every guest: its answer to `state` (images/probe/STREAM.md) as data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ThreadSeen:
    """A vCPU's thread on the host: cumulative run time and run delay at `t_ns` of the host's clock."""

    t_ns: int
    run_ns: int
    delay_ns: int


@dataclass(frozen=True)
class StealSeen:
    """A guest's own cumulative steal by vCPU at `guest_ns` of its clock, known on the host since `arrived_ns` of
    the host's. A vCPU that is offline is missing."""

    arrived_ns: int
    guest_ns: int
    steal_ns: Mapping[int, int]


@dataclass(frozen=True)
class GuestSeen:
    """One guest. `steal` is None where no sample of its own has come."""

    threads: Mapping[int, ThreadSeen] = field(default_factory=dict)
    steal: StealSeen | None = None


@dataclass(frozen=True)
class Seen:
    """All guests, at `t_ns` of the host's clock."""

    t_ns: int
    guests: Mapping[str, GuestSeen]


def parse_seen(t_ns: int, lines: Iterable[tuple[str, Sequence[str]]]) -> Seen:
    """An answer that ended at `t_ns`; `lines` are (kind, words) of what came before. Raises ValueError."""
    threads: dict[str, dict[int, ThreadSeen]] = {}
    steal: dict[str, dict[int, int]] = {}
    times: dict[str, tuple[int, int]] = {}
    for kind, (name, *words) in lines:
        vcpu, *numbers = map(int, words)
        if kind == "state-vcpu":
            threads.setdefault(name, {})[vcpu] = ThreadSeen(*numbers)
        else:
            times[name] = (numbers[0], numbers[1])
            steal.setdefault(name, {})[vcpu] = numbers[2]
    return Seen(
        t_ns,
        {
            name: GuestSeen(
                threads.get(name, {}), StealSeen(*times[name], steal[name]) if name in times else None
            )
            for name in dict.fromkeys([*threads, *times])
        },
    )
