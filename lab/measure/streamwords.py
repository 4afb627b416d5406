# SPDX-License-Identifier: GPL-2.0-only
"""Words of one line of a probe's stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields


class DamageError(ValueError):
    """What is wrong with a line."""


@dataclass(frozen=True)
class CpuTimes:
    """One CPU's line of /proc/stat, in units of 1/USER_HZ s (proc_stat(5))."""

    cpu: int
    user: int
    nice: int
    system: int
    idle: int
    iowait: int
    irq: int
    softirq: int
    steal: int
    guest: int
    guest_nice: int


def parse_number(word: str) -> int:
    """Raises DamageError unless it is one without a sign."""
    if not word.isdecimal():
        raise DamageError(f"{word!r} is not a number")
    return int(word)


def parse_numbers(words: Sequence[str], count: int) -> list[int]:
    """Raises DamageError unless there are exactly `count`."""
    if len(words) != count:
        raise DamageError(f"{len(words)} numbers where {count} are expected")
    return [parse_number(word) for word in words]


def parse_cpu_times(words: Sequence[str]) -> CpuTimes:
    """A `k` line without its first word. The kernel may add columns at the end; it never took one away."""
    names, (head, *columns) = fields(CpuTimes), words
    if not head.startswith("cpu") or len(columns) < len(names) - 1:
        raise DamageError("is no CPU's line of /proc/stat")
    cpu, *times = parse_numbers([head[3:], *columns[: len(names) - 1]], len(names))
    return CpuTimes(cpu, *times)
