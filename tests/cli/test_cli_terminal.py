# SPDX-License-Identifier: GPL-2.0-only
"""What people see while something takes long."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys

import pytest

from lab.cli.terminal import LiveSteps, Terminal, open_terminal

LIVE = """
import sys, time
from lab.cli.terminal import open_terminal
terminal = open_terminal(sys.stderr)
terminal.step("building [red]x[/]")
terminal.update(0.25, "[1/4]")
time.sleep(0.3)
terminal.say("[bold]said[/]")
terminal.end_step()
"""


class Clock:
    """Time that passes when told."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def _lines(stream: io.StringIO) -> list[str]:
    return stream.getvalue().splitlines()


def test_lines_carry_the_time_since_the_start(clock: Clock) -> None:
    stream = io.StringIO()
    terminal = Terminal(stream, clock=clock)
    clock.now_s += 12.34
    terminal.say("guests up")
    assert _lines(stream) == ["[12.3s] guests up"]


def test_a_log_is_told_at_most_every_ten_seconds(clock: Clock) -> None:
    stream = io.StringIO()
    terminal = Terminal(stream, clock=clock)
    terminal.step("building")
    for second in range(25):
        clock.now_s = 100 + second
        terminal.update(second / 100, f"file {second}")
    assert _lines(stream) == [
        "[0.0s] building",
        "[10.0s]   building: 10 % file 10",
        "[20.0s]   building: 20 % file 20",
    ]


def test_an_unknown_end_is_no_percentage(clock: Clock) -> None:
    stream = io.StringIO()
    terminal = Terminal(stream, clock=clock)
    terminal.step("building")
    clock.now_s += 11
    terminal.update(None, "configuring")
    assert _lines(stream)[-1] == "[11.0s]   building: configuring"


def test_the_end_of_a_long_step_says_how_long_it_took(clock: Clock) -> None:
    stream = io.StringIO()
    terminal = Terminal(stream, clock=clock)
    terminal.step("building")
    clock.now_s += 8
    terminal.step("saving")
    clock.now_s += 0.2
    terminal.end_step()
    assert _lines(stream) == ["[0.0s] building", "[8.0s] building: done in 8.0 s", "[8.0s] saving"]


def test_a_step_that_failed_was_not_done(clock: Clock) -> None:
    stream = io.StringIO()
    terminal = Terminal(stream, clock=clock)
    terminal.step("building")
    clock.now_s += 8
    terminal.end_step(failed=True)
    assert _lines(stream) == ["[0.0s] building"]


def test_what_is_said_meanwhile_does_not_end_the_step(clock: Clock) -> None:
    stream = io.StringIO()
    terminal = Terminal(stream, clock=clock)
    terminal.step("building")
    terminal.say("by the way")
    clock.now_s += 10
    terminal.update(0.5, "half")
    assert _lines(stream) == ["[0.0s] building", "[0.0s] by the way", "[10.0s]   building: 50 % half"]


def test_a_reader_that_went_away_does_not_stop_the_work() -> None:
    stream = io.StringIO()
    terminal = Terminal(stream)
    stream.close()
    terminal.say("nobody hears this")


def test_a_file_gets_lines() -> None:
    assert not isinstance(open_terminal(io.StringIO())._view, LiveSteps)


@pytest.mark.parametrize("colours", [True, False])
def test_a_terminal_gets_a_live_line_without_markup(colours: bool) -> None:
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    env.pop("NO_COLOR", None)
    said = _on_a_terminal(env if colours else {**env, "NO_COLOR": "1"})
    assert "building [red]x[/]" in said
    assert "[1/4]" in said
    assert "[bold]said[/]" in said
    assert ("\x1b[3" in said) == colours


def test_a_dumb_terminal_gets_lines() -> None:
    said = _on_a_terminal({**os.environ, "TERM": "dumb"})
    assert "s] building [red]x[/]" in said
    assert "\x1b" not in said


def _on_a_terminal(env: dict[str, str], script: str = LIVE) -> str:
    ours, theirs = pty.openpty()
    with subprocess.Popen([sys.executable, "-c", script], stderr=theirs, env=env) as child:
        os.close(theirs)
        said = b""
        while chunk := _read(ours):
            said += chunk
        assert child.wait(30) == 0
    os.close(ours)
    return said.decode()


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, 4096)
    except OSError:  # how Linux says that the other end is closed
        return b""


NODES = """
import sys, time
from lab.cli.terminal import open_terminal
terminal = open_terminal(sys.stderr)
terminal.stage("guest1", "needs kernel [x]")
terminal.step("bringing up")
terminal.stage("guest1", "boots")
terminal.stage("guest2", "boots")
time.sleep(0.3)
terminal.say("said")
terminal.stage("guest2", "its probe spoke", True)
time.sleep(0.3)
terminal.stage("guest2", "boots again")
time.sleep(0.3)
terminal.end_step()
terminal.forget_stages()
terminal.step("something else")
time.sleep(0.3)
terminal.end_step()
"""


def test_nodes_have_lines_of_their_own_while_somebody_looks() -> None:
    said = _on_a_terminal({**os.environ, "TERM": "xterm", "COLUMNS": "100", "NO_COLOR": "1"}, NODES)
    before, after = said.split("something else", 1)
    for text in ("bringing up", "  guest1", "  guest2", "boots", "its probe spoke", "boots again"):
        assert text in before
    assert "guest1" not in after


def test_a_log_has_no_lines_of_nodes() -> None:
    said = _on_a_terminal({**os.environ, "TERM": "dumb"}, NODES)
    assert "guest" not in said and "bringing up" in said and "said" in said
