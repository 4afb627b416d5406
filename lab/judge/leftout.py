# SPDX-License-Identifier: GPL-2.0-only
"""Measurements that do not count, and why: each of them for programs, alike ones together for people."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lab.units import format_cpulist

#: How many are named one by one.
_NAMED = 6
_NUMBER = re.compile(r"\d+(\.\d+)?")
_REPEAT = re.compile(r"repeat (\d+)")


@dataclass(frozen=True)
class LeftOut:
    """What was left out of `arm`: ``repeat 3``, or a recording's name; and why."""

    arm: str
    where: str
    reason: str

    def __str__(self) -> str:
        return f"{self.arm}, {self.where}: {self.reason}"


def group_left_out(several: Iterable[LeftOut]) -> Iterator[str]:
    """A line for each arm and kind of reason: ``baseline, repeats 1-3,5: CPU 0 of the host VM waited 12 % ...``.

    Reasons are of one kind where the first of them differs in numbers only; that of the first stands for all.
    """
    groups: dict[tuple[str, str], list[LeftOut]] = {}
    for one in several:
        groups.setdefault((one.arm, _kind(one.reason)), []).append(one)
    for (arm, _), alike in groups.items():
        different = len({one.reason for one in alike}) > 1
        reason = alike[0].reason + (", and alike" if different else "")
        yield f"{arm}, {_places(alike)}: {reason}"


def _kind(reason: str) -> str:
    """Names may have numbers in them: what a phase is called is no difference."""
    return _NUMBER.sub("#", reason.split("; ")[0])


def _places(several: list[LeftOut]) -> str:
    repeats = [_REPEAT.fullmatch(one.where) for one in several]
    numbers = [int(match[1]) for match in repeats if match is not None]
    if len(numbers) == len(several) > 1:
        return f"repeats {format_cpulist(numbers)}"
    names = [one.where for one in several]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
