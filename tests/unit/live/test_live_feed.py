# SPDX-License-Identifier: GPL-2.0-only
"""The follower's lines as looks."""

from __future__ import annotations

import pytest
from faketop import FakeFollower, looks, make_top_plan
from hypothesis import given
from hypothesis import strategies as st

from lab.live.feed import FeedError, LookParser
from lab.plan.labplan import HOST_SCOPE

HELLO = "pvfollow 1 every_ms=1000"


def test_a_look_has_samples_marks_and_texts() -> None:
    follower = FakeFollower(make_top_plan())
    follower.marks = ["phase-start a"]
    follower.console = {"guest1": ["  indented line", ""]}
    (look,) = looks([*follower.hello(), *follower.speak()])
    assert set(look.streams) == {HOST_SCOPE, "guest1", "guest2"}
    assert look.streams[HOST_SCOPE].marks[0].text == "phase-start a"
    assert len(look.streams[HOST_SCOPE].samples[0].vcpus) == 4
    assert look.streams["guest1"].samples[0].tasks[1].work == 1000
    assert look.texts == {"guest1": ("  indented line", "")}
    assert (look.t_ns, look.cpu_ns, look.damaged) == (1_000_001_000, 2_000_000, ())


def test_a_stream_that_is_damaged_does_not_spoil_the_others() -> None:
    follower = FakeFollower(make_top_plan())
    lines = [line.replace("s guest1 k", "s guest1 q") for line in [*follower.hello(), *follower.speak()]]
    (look,) = looks(lines)
    assert look.damaged == ("guest1",) and "guest1" not in look.streams and "guest2" in look.streams


def test_a_stream_without_its_first_line_is_damaged() -> None:
    (look,) = looks([HELLO, "s guest1 b 0 1", "s guest1 e 0 2 3", "z 1 2"])
    assert look.damaged == ("guest1",)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["pvfollow 2 every_ms=1000"], "expected a line"),
        (["bash: no such file"], "expected a line"),
        ([HELLO, "? what"], "no line of a follower"),
        ([HELLO, "z 1"], "without two numbers"),
        ([HELLO, "z a b"], "without two numbers"),
    ],
)
def test_other_lines_are_refused(lines: list[str], message: str) -> None:
    with pytest.raises(FeedError, match=message):
        looks(lines)


@given(st.lists(st.text(alphabet="hscz 019abgkevm@", max_size=30), max_size=30))
def test_whatever_comes_is_a_look_or_refused(lines: list[str]) -> None:
    parser = LookParser()
    parser.take(HELLO)
    for line in lines:
        try:
            parser.take(line)
        except FeedError:
            return
