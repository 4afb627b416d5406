# SPDX-License-Identifier: GPL-2.0-only
"""The screen of `lab top`. It shows a state (lab.live) and asks for knobs; all else is somebody else's."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.events import Resize
from textual.widgets import ContentSwitcher, DataTable, Footer, Log, Static

from lab.cli.topports import KnobBench, Source
from lab.cli.topscreens import HelpScreen, KnobScreen
from lab.errors import ExitCode, LabError
from lab.live.knobrows import KnobRow, written_knobs
from lab.live.state import LiveState, Tone
from lab.live.step import advance
from lab.live.text import Line, printable, render_frame, render_happenings, render_head
from lab.plan.labplan import HOST_SCOPE

#: How often it is looked whether there is news: nothing is sent or drawn where there is none.
POLL_S = 0.25
_STYLES: dict[Tone, str] = {
    "": "",
    "head": "bold",
    "good": "green",
    "warn": "yellow",
    "bad": "bold red",
    "dim": "dim",
}
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def as_text(lines: Sequence[Line]) -> Text:
    """Lines with their tones as colours."""
    text = Text(no_wrap=True, overflow="crop")
    for number, line in enumerate(lines):
        text.append(("\n" if number else "") + line.text, _STYLES[line.tone])
    return text


class TopApp(App[None]):
    """A running lab, full screen."""

    CSS_PATH = "top.css"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "show('overview')", "Overview"),
        Binding("2", "show('knobs-pane')", "Knobs"),
        Binding("3", "show('console-pane')", "Console"),
        Binding("4", "show('events')", "Events"),
        Binding("n", "turn(1)", "Next"),
        Binding("p", "turn(-1)", "Previous", show=False),
        Binding("l", "kernel_log", "Kernel log", show=False),
        Binding("r", "reread", "Reread", show=False),
        Binding("space", "pause", "Pause"),
        Binding("question_mark", "help", "Help"),
        Binding("q", "leave", "Quit"),
        Binding("ctrl+c,ctrl+q", "leave", "Quit", show=False, priority=True),
    ]

    def __init__(self, source: Source, bench: KnobBench) -> None:
        super().__init__()
        self.animation_level = "none"
        self._source = source
        self._bench = bench
        self.state = LiveState(source.plan)
        self._machines = (*(node.name for node in source.plan.nodes), HOST_SCOPE)
        self._machine = 0
        self._console = 0
        self._rows: Sequence[KnobRow] = ()
        self._console_shown: tuple[str, int] = ("", 0)
        self._logged = ""
        self._paused = False
        self._writing = False
        self._leaving = False
        self._mounted_once = False

    def compose(self) -> ComposeResult:
        """Head, one of four panes, keys."""
        yield Static(id="head")
        with ContentSwitcher(id="panes", initial="overview"):
            with VerticalScroll(id="overview", classes="pane"):
                yield Static(id="overview-text")
            with Vertical(id="knobs-pane", classes="pane"):
                yield Static(id="knobs-about", classes="about")
                yield DataTable[str](id="knobs", cursor_type="row", zebra_stripes=False)
                yield Static(id="said")
            with Vertical(id="console-pane", classes="pane"):
                yield Static(id="console-about", classes="about")
                yield Log(id="console", max_lines=1000)
            with VerticalScroll(id="events", classes="pane"):
                yield Static(id="events-text")
        yield Footer(compact=True)

    def on_mount(self) -> None:
        """Begin to look. A signal ends this in order, with the terminal as it was before."""
        self.query_one("#knobs", DataTable).add_columns("knob", "value")
        self.set_interval(POLL_S, self._poll)
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            with suppress(
                ValueError, RuntimeError
            ):  # not in the main thread: whoever is there sees to signals
                loop.add_signal_handler(number, lambda: self._end_with(ExitCode.INTERRUPTED))
        self._mounted_once = True
        self._draw()
        self.query_one("#overview").focus()

    def on_unmount(self) -> None:
        """Give signals back."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            with suppress(ValueError, RuntimeError):
                loop.remove_signal_handler(number)

    def on_resize(self, _event: Resize) -> None:
        """Lines are as long as the screen is wide, which it is a moment later."""
        self.call_after_refresh(self._draw)

    # ---- looking

    def _poll(self) -> None:
        before = self.state
        for update in self._source.news():
            self.state = advance(self.state, update)
        if self.state is not before and not self._paused:
            self._draw()

    @property
    def _width(self) -> int:
        return max(1, self.size.width - 1)

    def _draw(self) -> None:
        """What is visible, and nothing else."""
        if not self._mounted_once:
            return
        paused = "  [paused: space goes on]" if self._paused else ""
        head = render_head(self.state, self._width, self._source.title + paused)
        self._put("#head", head)
        draw: dict[str, Callable[[], None]] = {
            "overview": self._draw_overview,
            "knobs-pane": self._draw_knobs_about,
            "console-pane": self._draw_console,
            "events": lambda: self._put("#events-text", render_happenings(self.state, self._width)),
        }
        draw[self._pane]()

    @property
    def _pane(self) -> str:
        return self.query_one("#panes", ContentSwitcher).current or "overview"

    def _put(self, where: str, lines: Sequence[Line]) -> None:
        self.query_one(where, Static).update(as_text(lines))

    def _draw_overview(self) -> None:
        frame = render_frame(self.state, self._width, title="")
        self._put("#overview-text", frame[len(render_head(self.state, self._width, "")) + 1 :])

    def _draw_console(self) -> None:
        """What is new of the machine's console; all of it where another was shown before."""
        node = self._machines[self._console]
        if self._logged == node:
            return
        lines = self.state.consoles.get(node, ())
        shown, last = self._console_shown
        log = self.query_one("#console", Log)
        if shown != node:
            log.clear()
            last = 0
        total = self.state.console_totals.get(node, 0)
        new = lines[-(total - last) :] if total > last else ()
        log.write_lines([printable(line) for line in new])
        self._console_shown = (node, total)
        gone = " (gone)" if node in self.state.gone else ""
        nothing = "" if total else " (it has said nothing)"
        about = f"console of {_who(node)}{gone}{nothing}; n: next, l: kernel log"
        self._put("#console-about", [Line(about, "head")])

    # ---- keys

    def action_show(self, pane: str) -> None:
        """Another pane."""
        self.query_one("#panes", ContentSwitcher).current = pane
        focus = {"knobs-pane": "#knobs", "console-pane": "#console"}.get(pane, f"#{pane}")
        self.query_one(focus).focus()
        if pane == "knobs-pane" and not self._rows:
            self._ask_for_knobs()
        self._draw()

    def action_turn(self, step: int) -> None:
        """The next machine or guest."""
        if self._pane == "knobs-pane":
            self._machine = (self._machine + step) % len(self._machines)
            self._ask_for_knobs()
        elif self._pane == "console-pane":
            self._console = (self._console + step) % len(self._machines)
            self._leave_log()
        self._draw()

    def action_kernel_log(self) -> None:
        """What the kernel of the machine whose console is shown has logged; again: back to the console."""
        if self._pane != "console-pane":
            return
        if self._logged:
            self._leave_log()
            self._draw()
            return
        node = self._logged = self._machines[self._console]
        if self._bench.refusal:
            self._show_log(node, [], Line(self._bench.refusal, "warn"))
        else:
            self._put("#console-about", [Line(f"reading the kernel log of {_who(node)} ...", "dim")])
            self._read_log(node)

    def _leave_log(self) -> None:
        self._logged = ""
        self._console_shown = ("", 0)

    @work(thread=True, exclusive=False, group="log")
    def _read_log(self, node: str) -> None:
        lines: list[str] = []
        try:
            lines = [printable(one) for one in self._bench.kernel_log(node)]
            about = Line(f"kernel log of {_who(node)}; l: back to its console", "head")
        except LabError as error:
            about = Line(_first(error), "bad")
        self.call_from_thread(self._show_log, node, lines, about)

    def _show_log(self, node: str, lines: Sequence[str], about: Line) -> None:
        if self._logged == node:
            log = self.query_one("#console", Log)
            log.clear()
            log.write_lines(lines)
            self._put("#console-about", [about])

    def action_pause(self) -> None:
        """Stop the picture, or go on."""
        self._paused = not self._paused
        self._draw()

    def action_help(self) -> None:
        """Keys and columns."""
        self.push_screen(HelpScreen())

    def action_leave(self) -> None:
        """Quit; a knob that is being written is written to its end."""
        self._end_with(ExitCode.PASSED)

    def _end_with(self, code: int) -> None:
        if self._writing:
            self._leaving = True
            self._say("a knob is being written: this ends when that is done", "warn")
        else:
            self.exit(return_code=code)

    # ---- knobs

    @property
    def machine(self) -> str:
        """The machine whose knobs are shown."""
        return self._machines[self._machine]

    def action_reread(self) -> None:
        """Ask the kernel again."""
        if self._pane == "knobs-pane":
            self._ask_for_knobs()

    def _ask_for_knobs(self) -> None:
        if self._bench.refusal:
            self._show_knobs(self.machine, written_knobs(self.state.events, self.machine))
            self._say(self._bench.refusal, "warn")
        else:
            self._show_knobs(self.machine, ())
            self._say(f"reading the knobs of {self.machine} ...", "dim")
            self._read_knobs(self.machine)

    @work(thread=True, exclusive=False, group="knobs")
    def _read_knobs(self, machine: str) -> None:
        try:
            rows = self._bench.read(machine)
        except LabError as error:
            self.call_from_thread(self._say, _first(error), "bad")
        else:
            self.call_from_thread(self._knobs_read, machine, rows)

    def _knobs_read(self, machine: str, rows: Sequence[KnobRow]) -> None:
        if machine == self.machine:
            self._show_knobs(machine, rows)
            self._say("" if rows else f"{machine} has none of the known knobs")

    def _show_knobs(self, machine: str, rows: Sequence[KnobRow]) -> None:
        table = self.query_one("#knobs", DataTable)
        row = table.cursor_row
        table.clear()
        self._rows = rows
        for one in rows:
            value = f"({one.why})" if one.value is None else printable(one.value) or "(empty)"
            table.add_row(one.name, value)
        table.move_cursor(row=min(row, max(0, len(rows) - 1)))
        self._draw_knobs_about()

    def _draw_knobs_about(self) -> None:
        who = _who(self.machine)
        self._put(
            "#knobs-about", [Line(f"knobs of {who}; n: next machine, Enter: change, r: reread", "head")]
        )

    def _say(self, text: str, tone: Tone = "") -> None:
        self.query_one("#said", Static).update(Text(text, _STYLES[tone]))

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Enter on a knob."""
        if self._bench.refusal:
            self._say(self._bench.refusal, "warn")
        elif self._writing:
            self._say("another knob is being written", "warn")
        elif 0 <= event.cursor_row < len(self._rows):
            self._ask_for_value(self._rows[event.cursor_row])

    def _ask_for_value(self, row: KnobRow) -> None:
        def write(value: str | None) -> None:
            if value is not None and value != row.value:
                self._writing = True
                self._say(f"writing {row.machine} {row.name} ...", "dim")
                self._write_knob(row, value)

        self.push_screen(KnobScreen(row.machine, row.name, row.value or ""), write)

    @work(thread=True, exclusive=False, group="knobs")
    def _write_knob(self, row: KnobRow, value: str) -> None:
        try:
            said, tone = self._bench.write(row.machine, row.name, value), "good"
        except LabError as error:
            said, tone = _first(error), "bad"
        self.call_from_thread(self._written, row.machine, said, tone)

    def _written(self, machine: str, said: str, tone: Tone) -> None:
        self._writing = False
        if self._leaving:
            self.exit(return_code=ExitCode.PASSED)
            return
        if machine == self.machine and tone == "good":
            self._read_knobs_after(said)
        else:
            self._say(said, tone)

    @work(thread=True, exclusive=False, group="knobs")
    def _read_knobs_after(self, said: str) -> None:
        machine = self.machine
        with suppress(LabError):
            self.call_from_thread(self._knobs_read, machine, self._bench.read(machine))
        self.call_from_thread(self._say, said, "good")


def _who(machine: str) -> str:
    return "the host" if machine == HOST_SCOPE else machine


def _first(error: LabError) -> str:
    hint = f" ({error.hint})" if error.hint else ""
    return error.message + hint
