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
1  overview: pCPUs, vCPUs, loads, what happened last
2  knobs of one machine     3  console of one guest     4  what happened

n / p       next / previous machine (knobs) or guest (console)
arrows, PgUp, PgDn, Home, End    move
Enter       change the knob under the cursor (the kernel is asked, the
            change is journalled as by `lab knob set`)
r           read the knobs again
space       stop the picture; again: go on
?           this help        q, Ctrl-C   quit

busy     of the pCPU, by its idle time         ~  may run elsewhere too
runs     of elapsed time, the vCPU's thread on its host
steal    guest: as the guest counts it; host: its thread's run delay
preempted  involuntary context switches of its thread, each second
work     units of work of a load's tasks (spin), each second

watching   what reading along costs, of one pCPU of the host

Rates are over the last 3 seconds. They are for looking at: what counts
is measured by `lab run`."""


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
