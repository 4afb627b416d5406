#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Boot many guests, three at a time, and count those that were lost.

    bench_boots.py [ROUNDS]      default 67, which is 201 guests

Prints a line for every loss as it happens, and at the end how many of how many guests were lost in boot, how
often the host VM was, and how long boots took from libvirt's create call to the probe's first word.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from lab.errors import Lost
from lab.places import find_places
from lab.recording import Event
from lab.run.events import Journal
from lab.run.lab import open_lab
from lab.topology.decode import read_topology
from lab.topology.model import Topology
from lab.wiring import Wiring

TOPOLOGY = Path(__file__).with_name("boots.yaml")
WHERE = os.environ.get("LAB_HOST", "auto")


class Teller:
    """A Narrator and Progress for a log."""

    def say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def step(self, what: str) -> None:
        self.say(what)

    def update(self, done: float | None, text: str) -> None:
        pass


def boot_once(wiring: Wiring, topology: Topology, where: str) -> Iterator[Event]:
    """One round; what was lost and how long boots took is in the events."""
    journal = Journal()
    with wiring.open_host(where) as host:
        plan = wiring.plan(topology, host.facts)
        with open_lab(host, plan, wiring.surroundings(wiring.launch(plan)), journal):
            pass
    yield from journal.events


def main(rounds: int) -> None:
    teller = Teller()
    wiring = Wiring(find_places(os.environ), teller, teller)
    topology = read_topology(TOPOLOGY)
    where = wiring.resolve_where(WHERE)
    seconds: list[float] = []
    lost_guests = lost_rounds = 0
    for number in range(1, rounds + 1):
        try:
            events = list(boot_once(wiring, topology, where))
        except Lost as error:
            lost_rounds += 1
            print(f"round {number}: {error.message}", flush=True)
            continue
        seconds += [event.data["boot_s"] for event in events if event.kind == "ready"]
        losses = [event.data["reason"] for event in events if event.kind == "retry"]
        lost_guests += len(losses)
        for loss in losses:
            print(f"round {number}: {loss}", flush=True)
    boots = len(seconds) + lost_guests
    print(
        f"{boots} boots, three at a time: {lost_guests} guests lost, {lost_rounds} rounds lost with their host"
    )
    print(f"seconds to boot: min {min(seconds)}, median {median(seconds):.2f}, max {max(seconds)}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 67)
