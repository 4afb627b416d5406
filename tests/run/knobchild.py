# SPDX-License-Identifier: GPL-2.0-only
"""A process that writes knobs of two trees until it is killed, as a lab would; and who puts them back."""

from __future__ import annotations

import os
import random
import signal
from multiprocessing.synchronize import Event
from pathlib import Path

from fakeworld import make_plan, make_topology

from lab.adapters.local_shell import LocalShell
from lab.knobs.load import shipped_registry
from lab.plan.knobs import HOST, Owner, plan_knob
from lab.plan.labplan import HOST_SCOPE, KnobSetting, LabPlan
from lab.run.knobclaims import HostClaims
from lab.run.knobjournal import KnobJournal
from lab.run.knobmachines import KnobMachine
from lab.run.knobs import KnobDriver
from lab.run.records import LabRecords

GUEST = Owner("guest1", 4, "lab-abc123-guest1")
MACHINES = (HOST_SCOPE, GUEST.name)
TOPOLOGY = "nodes: [{name: guest1, vcpus: 4, memory: 256MiB}]\n"
#: A variable of the environment in which commands are slow to start.
DELAYED = "KNOBS_DELAYED"
#: Read once, by the server that forks the children.
REGISTRY = shipped_registry()
#: Knobs and values by owner. Those of `steal` are parameters of a module, written by loading it anew.
CHOICES = {
    GUEST: {
        "/sys/devices/system/cpu/paravirt": ["1", "2-3", ""],
        "/proc/sys/kernel/one": ["5", "6"],
        "steal.high": ["6%", "7%", "900"],
        "steal.low": ["1%", "3%"],
        "steal.enable": ["0", "1"],
    },
    HOST: {"/proc/sys/kernel/one": ["5", "6"], "/sys/kernel/mm/two": ["a", "b c"]},
}


def plan_of_lab() -> LabPlan:
    """The lab whose knobs these are."""
    return make_plan(make_topology(TOPOLOGY))


def open_driver(state_dir: Path, trees: Path) -> KnobDriver:
    """What drives the knobs of both trees, for the lab whose record is in `state_dir`."""
    plan, records = plan_of_lab(), LabRecords(state_dir)

    def machines(name: str) -> KnobMachine:
        tree = trees / ("host" if name == HOST_SCOPE else name)
        return KnobMachine(name, LocalShell(), str(tree / "pvknob.sh"), str(tree / "fence"))

    claims = HostClaims(records, state_dir, plan.lab_id, plan.host.where)
    journal = KnobJournal(records.directory(plan.lab_id))
    return KnobDriver(journal, machines, REGISTRY, claims)


def write_until_killed(state_dir: Path, trees: Path, seed: float, begun: Event) -> None:
    """Write at random. Ctrl-C puts everything back, in order, as the lab does; SIGKILL leaves it to others."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    driver, random_ = open_driver(state_dir, trees), random.Random(seed)
    os.environ[DELAYED] = "1"
    begun.set()
    try:
        while True:
            owner = random_.choice(list(CHOICES))
            settings = [one for _ in range(random_.randint(1, 3)) for one in _some_setting(owner, random_)]
            with driver.writing() as writer:
                writer.write(settings, lambda _done: None)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        restore(driver)


def _some_setting(owner: Owner, random_: random.Random) -> tuple[KnobSetting, ...]:
    name = random_.choice(list(CHOICES[owner]))
    return plan_knob(owner, name, random_.choice(CHOICES[owner][name]), REGISTRY)


def restore(driver: KnobDriver) -> None:
    """Everything, the host's knobs first."""
    with driver.writing() as writer:
        for name in MACHINES:
            writer.restore(name)
