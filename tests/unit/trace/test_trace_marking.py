# SPDX-License-Identifier: GPL-2.0-only
"""A load that says that it marks long holds: then a trace without any says that nobody held a lock for long."""

from __future__ import annotations

import pytest
from made_traces import make_timeline, make_trace

from lab.trace.holders import GuestTrace
from lab.trace.model import State

RUN, OFF = State.RUNNING, State.PREEMPTED
STRETCHES = [(1_000, RUN), (3_000, OFF), (10_000, RUN)]


def holds(*marks: tuple[int, str]) -> tuple[int, int | None]:
    """(told, in a lock) of one preemption from 1000 to 3000 that hit task 7, with marks of the same task."""
    guest = make_trace(
        0,
        10_000,
        node="guest1",
        switched=[(10, 0, 1, 1, 7)],
        ticks=[(5_000, 0, 7, 0)],
        marks=[(t_ns, 0, 7, text) for t_ns, text in marks],
    )
    found = GuestTrace(guest).holders(make_timeline(STRETCHES))
    assert found is not None
    return found.told, found.in_lock


def test_a_mark_of_a_hold_tells_who_held() -> None:
    assert holds((4_000, "pvlock hold futex 3500\n")) == (1, 1)
    assert holds((9_000, "pvlock hold futex 3500\n")) == (1, 0)


@pytest.mark.parametrize("at_ns", [100, 9_000])
def test_who_marks_and_marked_nothing_held_nothing(at_ns: int) -> None:
    assert holds((at_ns, "pvlock marks futex 1000000\n")) == (1, 0)


@pytest.mark.parametrize("text", ["", "pvlock marks", "pvlock marks futex x", "marks futex 1000000", "hello"])
def test_without_a_word_of_it_nobody_knows(text: str) -> None:
    assert holds((100, text))[1] is None
