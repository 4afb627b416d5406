# SPDX-License-Identifier: GPL-2.0-only
"""Tells people what happens, on stderr: a Narrator and a Progress at once.

On a terminal a live line says what is being done, how far it is and for how long; elsewhere plain lines do, few
enough to be read in a log afterwards. Texts are printed as they are: no markup is looked for in them.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TextIO

#: How often a log is told how far a step is.
_PLAIN_EVERY_S = 10.0
#: From this long on, the end of a step is worth a line.
_WORTH_TELLING_S = 1.0


class StepView(Protocol):
    """Shows one step at a time."""

    def start(self, what: str) -> None:
        """A step begins, or goes on after it was hidden."""

    def update(self, done: float | None, text: str) -> None:
        """How far it is; `done` from 0 to 1, None where that is unknown."""

    def stop(self) -> None:
        """Hide it."""

    def stage(self, node: str, text: str, done: bool) -> None:
        """How far one node is, beside the step; shown from the next step or update on."""

    def forget_stages(self) -> None:
        """No node is under way any more."""


class Terminal:
    """May be called from several threads. `view` shows steps; lines are written to `stream`."""

    def __init__(
        self, stream: TextIO, view: StepView | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._started = clock()
        self._lock = threading.RLock()
        self._view = view or PlainSteps(self._line, clock)
        self._step: str | None = None
        self._step_started = 0.0
        self._shown = False

    def say(self, text: str) -> None:
        """Something happened."""
        with self._lock:
            self._hide()
            self._line(text)

    def step(self, what: str) -> None:
        """A piece of work begins, and with that the one before it has ended."""
        with self._lock:
            self.end_step()
            self._step, self._step_started = what, self._clock()
            self._show()

    def update(self, done: float | None, text: str) -> None:
        """How far the step is."""
        with self._lock:
            if self._step is not None:
                self._show()
                self._view.update(done, text)

    def stage(self, node: str, text: str, done: bool = False) -> None:
        """How far one node of a lab is. It stands beside the step where somebody looks; a log has no line of it."""
        with self._lock:
            self._view.stage(node, text, done)
            self._show()

    def forget_stages(self) -> None:
        """No node is under way any more."""
        with self._lock:
            self._view.forget_stages()

    def end_step(self, failed: bool = False) -> None:
        """The step has ended, if there is one."""
        with self._lock:
            self._hide()
            if self._step is not None and not failed:
                took = self._clock() - self._step_started
                if took >= _WORTH_TELLING_S:
                    self._line(f"{self._step}: done in {took:.1f} s")
            self._step = None

    def error(self, text: str) -> None:
        """A line about the command itself, without a time."""
        with self._lock:
            self._hide()
            self._write(text)

    def _show(self) -> None:
        if not self._shown and self._step is not None:
            self._shown = True
            self._view.start(self._step)

    def _hide(self) -> None:
        if self._shown:
            self._shown = False
            self._view.stop()

    def _line(self, text: str) -> None:
        self._write(f"[{self._clock() - self._started:.1f}s] {text}")

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text + "\n")
            self._stream.flush()
        except (BrokenPipeError, ValueError):
            pass  # whoever read along is gone; the work itself goes on


class PlainSteps:
    """Steps as lines: one at the start, then at most one every 10 s."""

    def __init__(self, line: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._line = line
        self._clock = clock
        self._what: str | None = None
        self._last = 0.0

    def start(self, what: str) -> None:
        """Say it once."""
        if what != self._what:
            self._what, self._last = what, self._clock()
            self._line(what)

    def update(self, done: float | None, text: str) -> None:
        """Say it if the last line is old enough."""
        if self._clock() - self._last >= _PLAIN_EVERY_S:
            self._last = self._clock()
            share = "" if done is None else f" {100 * done:.0f} %"
            self._line(f"  {self._what}:{share} {text}".rstrip())

    def stop(self) -> None:
        """Lines stay."""

    def stage(self, node: str, text: str, done: bool) -> None:
        """Not in a log: the steps and what is said are enough to read afterwards."""

    def forget_stages(self) -> None:
        """There are none."""


@dataclass
class _Stage:
    """How far one node is; `task` is its line's number in the view that is shown."""

    text: str
    done: bool
    since: float
    took_s: float | None = None
    task: int | None = None

    def tell(self, text: str, done: bool) -> None:
        self.text, self.done = text, done
        self.took_s = time.monotonic() - self.since if done else None


class LiveSteps:
    """Steps as one live line, and one more for each node that is under way.

    rich is loaded when the first one is shown: most commands never do.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._what = ""
        self._since = 0.0
        self._hide: Callable[[], None] | None = None
        self._set: Callable[[float | None, str], None] | None = None
        self._stages: dict[str, _Stage] = {}
        self._draw: Callable[[str, _Stage], None] | None = None

    def start(self, what: str) -> None:
        """Show the lines."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TimeElapsedColumn(),
            TextColumn("{task.fields[text]}", markup=False),
            console=Console(file=self._stream, markup=False, highlight=False),
            transient=True,
        )
        # A step that goes on after a line was said keeps counting from its start.
        same = what == self._what
        self._what = what
        self._since = self._since if same else time.monotonic()
        task = bar.add_task(what, total=None, text="")
        bar.tasks[0].start_time = self._since

        def show(done: float | None, text: str) -> None:
            bar.update(task, total=None if done is None else 1.0, completed=done or 0.0, text=text)

        def draw(node: str, stage: _Stage) -> None:
            if stage.task is None:
                stage.task = bar.add_task(f"  {node}", total=None, text="")
            task = bar.tasks[stage.task]
            task.start_time = stage.since
            task.stop_time = None if stage.took_s is None else stage.since + stage.took_s
            task.finished_time = None  # a node that was lost is under way again
            ended = 1.0 if stage.done else None
            bar.update(task.id, total=ended, completed=ended or 0.0, text=stage.text)

        for node, stage in self._stages.items():
            stage.task = None
            draw(node, stage)
        bar.start()
        self._hide, self._set, self._draw = bar.stop, show, draw

    def update(self, done: float | None, text: str) -> None:
        """Change the line."""
        if self._set is not None:
            self._set(done, text)

    def stop(self) -> None:
        """Take the line away."""
        if self._hide is not None:
            self._hide()
        self._hide = self._set = self._draw = None

    def stage(self, node: str, text: str, done: bool) -> None:
        """Change a node's line, which counts the time since the node was first told of."""
        stage = self._stages.setdefault(node, _Stage(text, done, time.monotonic()))
        stage.tell(text, done)
        if self._draw is not None:
            self._draw(node, stage)

    def forget_stages(self) -> None:
        """Take the nodes' lines away with the view that is shown, if one is."""
        self._stages.clear()


def open_terminal(stream: TextIO) -> Terminal:
    """A Terminal fit for `stream`: live where somebody looks at it."""
    live = stream.isatty() and os.environ.get("TERM", "dumb") not in ("", "dumb")
    return Terminal(stream, LiveSteps(stream) if live else None)
