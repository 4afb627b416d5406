# SPDX-License-Identifier: GPL-2.0-only
"""What a `lab_opener` fixture of a pytester run needs: topologies brought up on a fake world."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fakehost import FakeHost
from fakeworld import FakeWorld, SaidNothing, make_keys, make_launch, make_plan

from lab.run.events import Journal
from lab.run.lab import Lab, Surroundings, open_lab
from lab.run.records import LabRecords
from lab.topology.model import Topology


class FakeOpener:
    """Opens labs on one world after the other; `hosts` has what was asked for, in order."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.worlds: list[FakeWorld] = []
        self.hosts: list[str | None] = []
        self.next_fates: dict[str, list[str]] = {}
        self.next_lies_pct: dict[str, float] = {}
        self.open_labs = 0
        self.launch = make_launch(directory)

    @property
    def world(self) -> FakeWorld:
        """The newest."""
        return self.worlds[-1]

    @contextmanager
    def __call__(self, topology: Topology, where: str | None) -> Iterator[Lab]:
        world = FakeWorld()
        world.lies_pct = self.next_lies_pct
        self.worlds.append(world)
        self.hosts.append(where)
        state_dir = self.directory / f"state{len(self.worlds)}"
        around = Surroundings(
            LabRecords(state_dir), state_dir, self.launch, make_keys, SaidNothing(), monotonic=world.monotonic
        )
        plan = make_plan(topology, world.facts, f"lab{len(self.worlds)}")
        with open_lab(FakeHost(world), plan, around, Journal()) as lab:
            self.open_labs += 1
            try:
                yield lab
            finally:
                self.open_labs -= 1
        assert not world.owned(plan.lab_id)

    def lose(self, node: str) -> None:
        """A guest of the newest lab dies."""
        (guest,) = [one for one in self.world.guests.values() if one.node == node]
        self.world.kill_guest(guest)
