# SPDX-License-Identifier: GPL-2.0-only
"""A git tree of "kernels" that each say in a file how they behave, and a wiring on which they do.

As a program: `lab` with that wiring; DIRECTORY WORDS...
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from cli.test_cli_run import FakeWiring
from fakehost import FakeHost
from fakeworld import FakeWorld, make_facts

from lab.artifacts.bench import Bench
from lab.cli.main import run
from lab.errors import BuildFailed, HostError, InputError
from lab.plan.facts import HostFacts
from lab.plan.labplan import LabPlan
from lab.run.ports import Launch
from lab.topology.model import Topology

#: What a kernel does: good, bad, broken (does not build), lost (a guest dies), undecided, unfit, bug, ctrl-c,
#: input (found wrong while it is built).
BEHAVIOUR = "behaviour"
TOPOLOGY = """\
version: 1
name: pair
host: {where: nested, pcpus: 0-1}
kernels: {mine: {source: {tree: TREE}}}
nodes: [{name: guest, count: 2, vcpus: 2, memory: 256MiB, pinning: spread}]
load: [{name: busy, tasks: 2}]
phases: [{name: contended, start: [busy], duration: 6s, settle: 200ms}]
expect: [{steal: {phase: contended, min: 40%, max: 60%}}]
"""


class BisectWiring(FakeWiring):
    """Guests behave as their kernel says.

    `benches` are the places in which kernels were built, `ran` the behaviours of all runs; `mood` is what the next
    runs do instead.
    """

    def __init__(self, directory: Path, state_dir: Path) -> None:
        super().__init__(directory, state_dir)
        self.benches: list[Bench] = []
        self.ran: list[str] = []
        self.mood: deque[str] = deque()

    def building_on(self, bench: Bench) -> BisectWiring:
        self.benches.append(bench)
        return self

    @contextmanager
    def open_host(self, where: str) -> Iterator[FakeHost]:
        self.opened.append(where)
        self.world = FakeWorld(make_facts())
        yield FakeHost(self.world)

    def plan(self, topology: Topology, facts: HostFacts) -> LabPlan:
        source = topology.kernels["mine"].source
        behaviour = self._behaviour(topology.directory / str(source.tree), source.ref)
        self.ran.append(behaviour)
        if behaviour == "bad":
            loads = tuple(one.model_copy(update={"nodes": "guest1"}) for one in topology.loads)
            topology = replace(topology, loads=loads)
        if behaviour == "undecided":
            self.world.lies_pct = {"guest1": 20.0}
        if behaviour == "lost":
            self.world.fates = {"guest1": deque(["die"] * 100)}
        return super().plan(topology, facts)

    def launch(self, plan: LabPlan) -> Launch:
        source = plan.kernels[0].source
        behaviour = _read_behaviour(Path(source.value), source.ref)
        if behaviour == "broken":
            raise BuildFailed("kernel mine: compiling failed:\nsched.c:1: error: expected ;")
        if behaviour == "unfit":
            raise HostError("this host has no KVM")
        if behaviour == "input":
            raise InputError("kernel source has no Kconfig")
        if behaviour == "bug":
            raise RuntimeError("a bug of the lab")
        if behaviour == "ctrl-c":
            os.kill(os.getpid(), signal.SIGINT)
        return super().launch(plan)

    def _behaviour(self, tree: Path, ref: str | None) -> str:
        return self.mood.popleft() if self.mood else _read_behaviour(tree, ref)


def _read_behaviour(tree: Path, ref: str | None) -> str:
    if ref is None:
        return (tree / BEHAVIOUR).read_text().split()[0]
    words = ["git", "-C", str(tree), "show", f"{ref}:{BEHAVIOUR}"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()[0]


def main(directory: Path, words: list[str]) -> None:
    """Like `lab`; every run is noted in a file of `directory`, and its file `mood` says what the next runs do."""
    (directory / "files").mkdir(exist_ok=True)
    wiring = BisectWiring(directory / "files", Path(os.environ["LAB_STATE_DIR"]))
    moods = directory / "mood"
    if moods.exists():
        wiring.mood.extend(moods.read_text().split())

    def make_wiring(*_args: object) -> Any:
        return wiring

    try:
        run(words, make_wiring)
    finally:
        if moods.exists():
            moods.write_text(" ".join(wiring.mood))
        with (directory / "ran").open("a") as sink:
            sink.writelines(f"{one}\n" for one in wiring.ran)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
