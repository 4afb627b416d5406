# SPDX-License-Identifier: GPL-2.0-only
"""An excerpt of a traced window as text: strips, changes, moments between them."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tracing import EVENTS, START_NS, make_window

from lab.judge.layout import WIDTH
from lab.judge.moments import Moment, moments_of_events
from lab.judge.stripchart import strip
from lab.judge.timelinetext import Excerpt, render_timeline
from lab.trace.model import State, VcpuTimeline

MS = 1_000_000

GOLDEN = Path(__file__).parents[2] / "golden" / "timeline.txt"


def test_a_whole_window_as_text():
    moments = moments_of_events(EVENTS)
    assert render_timeline(make_window(), Excerpt(0, 16 * MS), moments) == GOLDEN.read_text()


def test_an_excerpt_has_what_begins_in_it_and_one_node_its_own():
    text = render_timeline(make_window(), Excerpt(4 * MS, 8 * MS, "guest2"), moments_of_events(EVENTS))
    assert "guest1" not in text.replace("guest1 vcpu", "")
    assert "  guest2/0 " + "R" * 64 in text
    assert text.count("runs, preempted before") == 1
    assert "mark: pvlock" in text
    assert "woken" not in text


def test_a_stretch_without_changes_says_so():
    text = render_timeline(make_window(), Excerpt(13 * MS, 14 * MS))
    assert "nothing changes" in text


def test_too_many_changes_are_cut_and_counted():
    text = render_timeline(make_window(), Excerpt(0, 16 * MS), most=3)
    assert "5 more changes: ask for less time, or for one node" in text


def test_events_that_change_nothing_are_left_out():
    told = list(moments_of_events(EVENTS))
    assert told == [Moment(START_NS + 2_500_000, "guest1", "knob avoid_cpus: (empty) -> 1")]


def test_doubts_of_the_window_are_told():
    doubted = replace(make_window(), doubts=("the host's trace: cut off after 3 pages",))
    assert "! the host's trace: cut off after 3 pages" in render_timeline(doubted, Excerpt(0, MS))


stretches = st.lists(st.tuples(st.integers(1, 1000), st.sampled_from(list(State))), min_size=1, max_size=30)


def timeline(parts: list[tuple[int, State]]) -> VcpuTimeline:
    ends = np.cumsum([length for length, _ in parts])
    states = np.array([state for _, state in parts], dtype=np.int32)
    zeros = np.zeros(len(parts), dtype=np.int32)
    return VcpuTimeline("guest", 0, 1, np.concatenate(([0], ends[:-1])), ends, states, zeros, zeros)


def slowly(vcpu: VcpuTimeline, begin: int, end: int) -> str:
    """The state with most nanoseconds between the two, one by one."""
    order = (State.PREEMPTED, State.WAKING, State.RUNNING, State.BLOCKED, State.UNKNOWN)
    seen = dict.fromkeys(order, 0)
    for at in range(begin, end):
        inside = np.flatnonzero((vcpu.start_ns <= at) & (at < vcpu.end_ns))
        seen[State(int(vcpu.state[inside[0]])) if len(inside) else State.UNKNOWN] += 1
    return "pwR.?"[max(range(5), key=lambda place: (seen[order[place]], -place))]


@settings(deadline=None, max_examples=40)
@given(stretches, st.lists(st.integers(-50, 3000), min_size=2, max_size=6, unique=True))
def test_a_slot_shows_what_took_most_of_it(parts, some_edges):
    vcpu, edges = timeline(parts), np.array(sorted(some_edges), dtype=np.int64)
    expected = "".join(slowly(vcpu, *pair) for pair in pairwise(edges))
    assert strip(vcpu, edges) == expected


@settings(deadline=None)
@given(st.integers(0, 16), st.integers(1, 16), st.text(max_size=200))
def test_text_stays_narrow_and_plain_whatever_is_in_it(begin_ms, length_ms, text):
    moments = [Moment(START_NS + begin_ms * MS, text, text)]
    shown = render_timeline(make_window(), Excerpt(begin_ms * MS, (begin_ms + length_ms) * MS), moments)
    assert all(len(line) <= WIDTH and line.isascii() for line in shown.splitlines())
