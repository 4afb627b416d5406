# SPDX-License-Identifier: GPL-2.0-only
"""What `lab top` shows on top of its screen: help, and the value of a knob."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, Static

HELP = """\
1 overview   2 knobs   3 console   4 what happened
n / p    next / previous machine, of knobs and consoles
Enter    change the knob under the cursor, as `lab knob set` does
r / l    read the knobs again / the kernel's log beside a console
space    stop the picture; again: go on
arrows, PgUp, PgDn, Home, End: move        q, Ctrl-C: quit

busy       of the pCPU, by its idle time; ~ may run elsewhere too
runs       the vCPU's thread on its host, of elapsed time
steal      guest: as it counts it; host: the thread's run delay
preempted  involuntary context switches of the thread
work       units of work of a load's tasks, where they count them
watching   what reading along costs, of one pCPU of the host

Rates are over the last 3 seconds and are for looking at: what
counts is measured by `lab run`."""


class HelpScreen(ModalScreen[None]):
    """The keys, and what the columns mean."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter,space", "dismiss", "Close")
    ]

    def compose(self) -> ComposeResult:
        """A box of text."""
        with VerticalScroll(id="box"):
            yield Static(HELP, markup=False)


class KnobScreen(ModalScreen[str | None]):
    """Asks for a knob's value; None where it stays as it is."""

    AUTO_FOCUS = "#value"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Leave it")]

    def __init__(self, machine: str, knob: str, value: str) -> None:
        super().__init__()
        self._about = f"{machine} {knob}"
        self._value = value

    def compose(self) -> ComposeResult:
        """The knob, and a line to type in."""
        with VerticalScroll(id="box"):
            yield Static(f"{self._about}, now {self._value or 'empty'}", markup=False)
            yield Input(value=self._value, id="value")
            yield Static("Enter writes it ('' clears), Esc leaves it as it is", markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter."""
        self.dismiss("" if event.value == "''" else event.value)

    def action_leave(self) -> None:
        """Esc."""
        self.dismiss(None)
