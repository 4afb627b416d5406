# SPDX-License-Identifier: GPL-2.0-only
"""What every verb works with: directories, the terminal, and the real adapters, made when first needed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import typer

from lab.artifacts.cache import Cache
from lab.cli.interrupts import Interrupts
from lab.cli.terminal import Terminal, open_terminal
from lab.places import Places, find_places
from lab.run.records import LabRecords

if TYPE_CHECKING:
    from lab.run.lab import Surroundings
    from lab.run.ports import Launch, Narrator
    from lab.wiring import Wiring

MakeWiring = Callable[[Places, Terminal, Terminal], "Wiring"]


@dataclass
class Desk:
    """One command's surroundings. Nothing is touched before it is asked for."""

    places: Places
    terminal: Terminal
    interrupts: Interrupts
    make_wiring: MakeWiring

    @cached_property
    def wiring(self) -> Wiring:
        """Real hosts and builds."""
        return self.make_wiring(self.places, self.terminal, self.terminal)

    @property
    def narrator(self) -> Narrator:
        """Who is told what happens."""
        return self.terminal

    @property
    def records(self) -> LabRecords:
        """Records of labs."""
        return LabRecords(self.places.state_dir)

    @property
    def cache(self) -> Cache:
        """What was built."""
        return Cache(self.places.cache_dir, self.terminal)

    def surroundings(self, launch: Launch) -> Surroundings:
        """What making a lab needs; its ending is not interrupted."""
        return replace(self.wiring.surroundings(launch), uninterrupted=self.interrupts.held)

    def print(self, text: str) -> None:
        """A result, to stdout, as it is."""
        self.terminal.end_step()
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        sys.stdout.flush()

    def print_json(self, document: Any) -> None:
        """A result for programs."""
        self.print(json.dumps(document, indent=2))


def make_real_wiring(places: Places, narrator: Terminal, progress: Terminal) -> Wiring:
    """The real one. Loaded here and not before: libvirt and ssh cost a third of a second."""
    from lab.wiring import Wiring

    return Wiring(places, narrator, progress)


def make_desk(make_wiring: MakeWiring = make_real_wiring) -> Desk:
    """A desk for this process."""
    terminal = open_terminal(sys.stderr)
    return Desk(find_places(os.environ), terminal, Interrupts(terminal.error), make_wiring)


def desk_of(ctx: typer.Context) -> Desk:
    """The desk of the running command."""
    desk = ctx.obj
    assert isinstance(desk, Desk)
    return desk
