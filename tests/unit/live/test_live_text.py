# SPDX-License-Identifier: GPL-2.0-only
"""A running lab as lines: nothing is wider than asked, whatever its names and however many there are."""

from __future__ import annotations

import pytest
from faketop import FakeFollower, looks, make_top_plan
from hypothesis import given
from hypothesis import strategies as st

from lab.live.state import LiveState
from lab.live.step import Trouble, advance
from lab.live.text import MIN_WIDTH, clip, printable, quantity, render_bar, render_frame, render_trend

MANY = "nodes: [{name: a-very-long-name-of-a-guest, count: 9, vcpus: 2, pinning: spread}]\nload: [{name: busy}]\n"


def watched(text: str | None = None, seconds: int = 3) -> LiveState:
    plan = make_top_plan() if text is None else make_top_plan(text)
    follower = FakeFollower(plan, runs=0.5)
    lines = follower.hello()
    for _ in range(seconds):
        lines += follower.speak()
    state = LiveState(plan)
    for look in looks(lines):
        state = advance(state, look)
    return state


def frame(state: LiveState, width: int) -> list[str]:
    return [line.text for line in render_frame(state, width, title="fake (abc123) on nested: up")]


def test_the_whole_frame() -> None:
    assert frame(watched(), 80) == [
        "fake (abc123) on nested: up",
        "2/2 guests up  2 vCPUs a pCPU  watching 0.2%",
        "",
        "pCPU    busy                      vCPUs, and what each runs, in %",
        "0       100%  ██████████████████  guest1.0 50  guest2.0 50",
        "1       100%  ██████████████████  guest1.1 50  guest2.1 50",
        "",
        "vCPU      pCPU       runs  steal: guest   host preempted         steal over time",
        "guest1.0  0         50.0%         50.0%  50.0%    20.0/s                      ▄▄",
        "guest1.1  1         50.0%         50.0%  50.0%    20.0/s                      ▄▄",
        "guest2.0  0         50.0%         50.0%  50.0%    20.0/s                      ▄▄",
        "guest2.1  1         50.0%         50.0%  50.0%    20.0/s                      ▄▄",
        "",
        "load                node                 tasks            work",
        "busy                guest1                   2           2 k/s",
        "busy                guest2                   2           2 k/s",
    ]


@pytest.mark.parametrize("width", [MIN_WIDTH, 79, 80, 132, 200])
@pytest.mark.parametrize("text", [None, MANY])
@pytest.mark.parametrize("seconds", [0, 1, 40])
def test_no_line_is_wider_than_asked(width: int, text: str | None, seconds: int) -> None:
    lines = frame(watched(text, seconds), width)
    assert max(map(len, lines)) <= width


def test_vcpus_that_do_not_fit_are_counted() -> None:
    assert any("+" in line and line.startswith("0 ") for line in frame(watched(MANY), 80))


def test_before_and_after() -> None:
    state = LiveState(make_top_plan())
    assert frame(state, 80)[1] == "waiting for the first samples"
    assert frame(advance(state, Trouble("the lab has ended")), 80)[1] == "the lab has ended"


@given(st.floats(min_value=-10, max_value=200), st.integers(min_value=0, max_value=50))
def test_bars_have_their_width(pct: float, width: int) -> None:
    assert len(render_bar(pct, width)) == width
    assert len(render_trend([pct] * 9, width)) == width


@given(st.text(max_size=60), st.integers(min_value=1, max_value=50))
def test_clipped_text_fits(text: str, width: int) -> None:
    assert len(clip(text, width)) <= width


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
def test_consoles_cannot_steer_the_terminal(text: str) -> None:
    assert printable(text).isprintable()


def test_escape_sequences_vanish() -> None:
    assert printable("\x1b[1;31mred\x1b[0m \x1bc\x9b1m|\ttab") == "red �1m| tab"


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (7.25, "7.25"), (1234, "1.23 k"), (5.1e6, "5.1 M"), (2e9, "2 G")]
)
def test_quantities(value: float, text: str) -> None:
    assert quantity(value) == text
