# SPDX-License-Identifier: GPL-2.0-only
"""The screen of `lab top`, headless: keys, sizes, guests that vanish, knobs that are refused and accepted."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable

import pytest
from faketop import FakeBench, FakeFollower, FakeSource, make_top_plan
from textual.pilot import Pilot
from textual.widgets import ContentSwitcher, DataTable, Input, Log, Static

from lab.cli.topapp import POLL_S, TopApp
from lab.cli.topscreens import HelpScreen, KnobScreen
from lab.live.step import Restarted, Said, Trouble
from lab.plan.labplan import HOST_SCOPE

Script = Callable[[TopApp, "Pilot[None]"], Awaitable[None]]


class Stage:
    """An app on fakes."""

    def __init__(self) -> None:
        self.follower = FakeFollower(make_top_plan())
        self.source = FakeSource(self.follower)
        self.bench = FakeBench(
            {("guest1", "avoid_cpus"): "", ("guest1", "steal_high"): "4", ("guest2", "x"): "1"}
        )

    def run(self, script: Script, size: tuple[int, int] = (80, 24)) -> TopApp:
        app = TopApp(self.source, self.bench)

        async def play() -> None:
            async with app.run_test(size=size) as pilot:
                await script(app, pilot)

        asyncio.run(asyncio.wait_for(play(), 60))
        return app


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def seen(pilot: Pilot[None]) -> None:
    """Let the app look for news."""
    await pilot.pause(2 * POLL_S)


def text_of(app: TopApp, where: str) -> str:
    return str(app.query_one(where, Static).content)


def screen_lines(app: TopApp) -> list[str]:
    """What stands on the screen, line by line."""
    return ["".join(segment.text for segment in line) for line in app.screen._compositor.render_strips()]


async def until(pilot: Pilot[None], done: Callable[[], bool]) -> None:
    for _ in range(100):
        if done():
            return
        await pilot.pause(0.05)
    raise AssertionError("it did not happen")


def test_overview_fills_and_q_quits(stage: Stage) -> None:
    async def script(app: TopApp, pilot: Pilot[None]) -> None:
        assert "waiting for the first samples" in text_of(app, "#head")
        stage.source.pass_seconds(3)
        await seen(pilot)
        shown = text_of(app, "#overview-text")
        assert "guest1.0" in shown and "50.0%" in shown and "20.0/s" in shown and "2 k/s" in shown
        assert "2/2 guests up" in text_of(app, "#head")
        await pilot.press("q")

    assert stage.run(script).return_code == 0


@pytest.mark.parametrize("key", ["ctrl+c", "ctrl+q"])
def test_ctrl_c_quits_whatever_has_the_focus(stage: Stage, key: str) -> None:
    async def script(_app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.press("2")
        await pilot.press("question_mark")
        await pilot.press(key)

    assert stage.run(script).return_code == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_it_in_order(stage: Stage, number: signal.Signals) -> None:
    before = signal.getsignal(number)

    async def script(app: TopApp, pilot: Pilot[None]) -> None:
        os.kill(os.getpid(), number)
        await until(pilot, lambda: app.return_code is not None)

    try:
        assert stage.run(script).return_code == 130
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("size", [(80, 24), (200, 60), (40, 10)])
def test_every_pane_fits_the_screen(stage: Stage, size: tuple[int, int]) -> None:
    async def script(app: TopApp, pilot: Pilot[None]) -> None:
        stage.source.pass_seconds(3)
        for key in "1234":
            await pilot.press(key)
            await seen(pilot)
            lines = screen_lines(app)
            assert len(lines) == size[1] and all(len(line) == size[0] for line in lines)
            assert "fake (abc123)" in lines[0]

    stage.run(script, size)


def test_resizing_redraws(stage: Stage) -> None:
    async def script(app: TopApp, pilot: Pilot[None]) -> None:
        stage.source.pass_seconds(30)
        await seen(pilot)
        await pilot.resize_terminal(200, 60)
        await seen(pilot)
        assert max(map(len, text_of(app, "#overview-text").splitlines())) > 80
        await pilot.resize_terminal(80, 24)
        await seen(pilot)
        assert max(map(len, text_of(app, "#overview-text").splitlines())) < 80

    stage.run(script)


def test_a_guest_that_vanishes_and_comes_back(stage: Stage) -> None:
    async def script(app: TopApp, pilot: Pilot[None]) -> None:
        stage.source.pass_seconds(3)
        stage.follower.gone = {"guest2"}
        stage.source.pass_seconds(2)
        await seen(pilot)
        assert "1/2 guests up" in text_of(app, "#head")
        shown = text_of(app, "#overview-text")
        assert "gone" in shown and "guest guest2 is gone: its emulator ended" in shown
        assert "guest1.0" in shown and "50.0%" in shown
        stage.follower.gone = set()
        stage.source.tell(Restarted("guest2"))
        stage.source.pass_seconds(3)
        await seen(pilot)
        assert "2/2 guests up" in text_of(app, "#head")

    stage.run(script)


def test_a_lab_that_ends_is_told_and_the_screen_stays(stage: Stage) -> None:
    async def script(app: TopApp, pilot: Pilot[None]) -> None:
        stage.source.pass_seconds(3)
        stage.source.tell(Trouble("the lab has ended"))
        await seen(pilot)
        assert "the lab has ended" in text_of(app, "#head")
        assert "guest1.0" in text_of(app, "#overview-text")

    stage.run(script)


def test_help_opens_and_closes(stage: Stage) -> None:
    async def script(app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.press("question_mark")
        assert isinstance(app.screen, HelpScreen)
        assert any("change the knob under the cursor" in line for line in screen_lines(app))
        stage.source.pass_seconds(3)
        await seen(pilot)
        assert "2/2 guests up" in text_of(app, "#head")
        await pilot.press("escape")
        assert not isinstance(app.screen, HelpScreen)

    stage.run(script)


def test_a_knob_is_written_and_read_back(stage: Stage) -> None:
    async def script(app: TopApp, pilot: Pilot[None]) -> None:
        table = app.query_one("#knobs", DataTable)
        await pilot.press("2")
        await until(pilot, lambda: table.row_count == 2)
        await pilot.press("enter")
        assert isinstance(app.screen, KnobScreen)
        await pilot.press("1", "enter")
        await until(pilot, lambda: "empty -> 1" in text_of(app, "#said"))
        assert stage.bench.writes == [("guest1", "avoid_cpus", "1")]
        assert table.get_row_at(0) == ["avoid_cpus", "1"]

    stage.run(script)


def test_a_knob_that_the_kernel_refuses(stage: Stage) -> None:
    async def script(app: TopApp, pilot: Pilot[None]) -> None:
        table = app.query_one("#knobs", DataTable)
        await pilot.press("2")
        await until(pilot, lambda: table.row_count == 2)
        await pilot.press("down", "enter")
        app.screen.query_one(Input).value = "refused"
        await pilot.press("enter")
        await until(pilot, lambda: "refuses" in text_of(app, "#said"))
        assert "look at its log" in text_of(app, "#said")
        assert table.get_row_at(1) == ["steal_high", "4"]

    stage.run(script)


def test_escape_leaves_a_knob_as_it_is(stage: Stage) -> None:
    async def script(app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.press("2")
        await until(pilot, lambda: app.query_one("#knobs", DataTable).row_count == 2)
        await pilot.press("enter", "9", "escape")
        await pilot.pause()
        assert not isinstance(app.screen, KnobScreen) and stage.bench.writes == []

    stage.run(script)


def test_nothing_is_written_into_somebody_elses_run(stage: Stage) -> None:
    stage.bench.refusal = "process 7 measures here"

    async def script(app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.press("2", "enter")
        await pilot.pause()
        assert "process 7 measures here" in text_of(app, "#said")
        assert not isinstance(app.screen, KnobScreen)

    stage.run(script)


def test_machines_turn_and_the_host_is_one(stage: Stage) -> None:
    async def script(app: TopApp, pilot: Pilot[None]) -> None:
        await pilot.press("2", "n")
        await until(pilot, lambda: app.query_one("#knobs", DataTable).row_count == 1)
        assert app.machine == "guest2"
        await pilot.press("n")
        await until(pilot, lambda: "none of the known knobs" in text_of(app, "#said"))
        assert "knobs of the host" in text_of(app, "#knobs-about")
        await pilot.press("n", "p", "p")
        assert app.machine == "guest2"

    stage.run(script)


def test_consoles_follow_and_turn(stage: Stage) -> None:
    async def script(app: TopApp, pilot: Pilot[None]) -> None:
        stage.follower.console = {"guest1": ["one", "\x1b[31mtwo\x07"], "guest2": ["other"]}
        stage.source.pass_seconds()
        await pilot.press("3")
        await seen(pilot)
        log = app.query_one("#console", Log)
        assert [line for line in log.lines if line] == ["one", "two "]
        stage.follower.console = {"guest1": ["three"]}
        stage.source.pass_seconds()
        await seen(pilot)
        assert [line for line in log.lines if line] == ["one", "two ", "three"]
        await pilot.press("n")
        assert [line for line in log.lines if line] == ["other"]
        stage.source.tell(Said(HOST_SCOPE, ("host VM",)))
        await pilot.press("n")
        await seen(pilot)
        assert [line for line in log.lines if line] == ["host VM"]
        assert "console of the host" in text_of(app, "#console-about")

    stage.run(script)


def test_kernel_logs_are_read_on_request(stage: Stage) -> None:
    async def script(app: TopApp, pilot: Pilot[None]) -> None:
        log = app.query_one("#console", Log)
        await pilot.press("3", "l")
        await until(pilot, lambda: "kernel log of guest1" in text_of(app, "#console-about"))
        assert [line for line in log.lines if line] == ["[    0.000000] Linux on guest1", "nothing else"]
        stage.follower.console = {"guest1": ["said"]}
        stage.source.pass_seconds()
        await seen(pilot)
        assert len([line for line in log.lines if line]) == 2
        await pilot.press("l")
        assert [line for line in log.lines if line] == ["said"]
        await pilot.press("p", "l")
        await until(pilot, lambda: "does not answer" in text_of(app, "#console-about"))
        stage.bench.refusal = "not now"
        await pilot.press("n", "l")
        await until(pilot, lambda: "not now" in text_of(app, "#console-about"))

    stage.run(script)


def test_paused_it_keeps_the_picture(stage: Stage) -> None:
    async def script(app: TopApp, pilot: Pilot[None]) -> None:
        stage.source.pass_seconds(3)
        await seen(pilot)
        await pilot.press("space")
        stage.follower.gone = {"guest1"}
        stage.source.pass_seconds(2)
        await seen(pilot)
        assert "paused" in text_of(app, "#head") and "2/2 guests up" in text_of(app, "#head")
        await pilot.press("space")
        assert "1/2 guests up" in text_of(app, "#head")

    stage.run(script)


def test_panes_change_by_their_keys(stage: Stage) -> None:
    async def script(app: TopApp, pilot: Pilot[None]) -> None:
        panes = []
        for key in "2341":
            await pilot.press(key)
            panes.append(app.query_one("#panes", ContentSwitcher).current)
        assert panes == ["knobs-pane", "console-pane", "events", "overview"]

    stage.run(script)
