# SPDX-License-Identifier: GPL-2.0-only
"""A fake host with everything around it that running a lab needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fakehost import FakeHost
from fakeworld import FakeWorld, SaidNothing, make_keys, make_launch, make_plan, make_topology

from lab.plan.labplan import LabPlan
from lab.run.experiment import run_experiment
from lab.run.lab import Surroundings
from lab.run.ports import Host
from lab.run.records import LabRecord, LabRecords

#: Two guests, one load, in the second phase a knob of a guest and one of the host; short, as virtual time still has
#: to be worked through.
SMALL = """\
nodes: [{name: guest, count: 2, vcpus: 2, memory: 256MiB, pinning: spread}]
load: [{name: busy, tasks: 2}]
phases:
  - {name: contended, start: [busy], duration: 1s, settle: 200ms}
  - name: folded
    duration: 1s
    settle: 200ms
    set: [{nodes: guest1, knob: avoid_cpus, value: "1"}, {knob: kvm.halt_poll, value: 0}]
"""
FOREIGN_XML = "<domain type='kvm'><name>foreign</name><vcpu>1</vcpu></domain>"


class Bench:
    """One state directory and one world; `world` has a domain and a network that are not the lab's."""

    def __init__(self, directory: Path, world: FakeWorld | None = None, text: str = SMALL) -> None:
        self.state_dir = directory / "state"
        self.recording = directory / "recording"
        self.topology = make_topology(text)
        self.narrator = SaidNothing()
        self.records = LabRecords(self.state_dir)
        self._launch = make_launch(directory)
        self._labs = 0
        self.use(world or FakeWorld())

    def use(self, world: FakeWorld) -> None:
        """Another world from now on."""
        world.start_guest(FOREIGN_XML)
        world.networks["foreign"] = None
        self.world = world
        self.host = FakeHost(world)
        self.around = Surroundings(
            self.records,
            self.state_dir,
            self._launch,
            make_keys,
            self.narrator,
            monotonic=lambda: self.world.monotonic(),
        )

    def plan(self) -> LabPlan:
        """A new plan with a new lab id."""
        self._labs += 1
        return make_plan(self.topology, self.world.facts, f"lab{self._labs:03}")

    @contextmanager
    def open_host(self) -> Iterator[tuple[Host, LabPlan, Surroundings]]:
        """As wiring would: a host that died is started again, empty."""
        if self.world.host_dead:
            self.use(FakeWorld(self.world.facts))
        yield self.host, self.plan(), self.around

    @contextmanager
    def reopen(self, record: LabRecord) -> Iterator[Host | None]:
        """The host of a record as it is."""
        yield None if self.world.host_dead else self.host

    @contextmanager
    def open_as_it_is(self) -> Iterator[Host]:
        """The host, even if it is dead: every call then loses the connection."""
        yield self.host

    def run(self) -> None:
        """A whole experiment."""
        run_experiment(self.open_host, self.narrator, self.topology.text, self.recording)

    def leftovers(self) -> list[str]:
        """What is left of any lab on the host."""
        ids = [f"lab{number:03}" for number in range(1, self._labs + 1)]
        return [thing for lab_id in ids for thing in self.world.owned(lab_id)]

    def foreign_is_there(self) -> bool:
        return "foreign" in self.world.guests and "foreign" in self.world.networks
