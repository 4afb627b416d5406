# SPDX-License-Identifier: GPL-2.0-only
"""A process that writes knobs of a real guest and its host until it is killed, as a lab would."""

from __future__ import annotations

import os
import random
import signal
import subprocess
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path

from lab.adapters.local_shell import LocalShell
from lab.errors import GuestLost
from lab.knobs.load import shipped_registry
from lab.plan.knobs import plan_knob_in, plan_reading_in
from lab.plan.labplan import HOST_SCOPE, KnobSetting, LabPlan, parse_plan_json
from lab.run.knobclaims import HostClaims
from lab.run.knobjournal import KnobJournal
from lab.run.knobmachines import KnobMachine, guest_machine
from lab.run.knobs import KnobDriver
from lab.run.ports import CommandResult, Shell
from lab.run.records import LabRecords

NODE = "guest"
MACHINES = (HOST_SCOPE, NODE)
#: Read once, by the server that forks the writers.
REGISTRY = shipped_registry()
#: Harmless ones, of every sort: files, a scheduler's feature, a partition of cgroup v2, a module's parameter, and a
#: vCPU's control group, which is on the host.
CHOICES = {
    NODE: {
        "/proc/sys/vm/swappiness": ["11", "22", "33"],
        "/proc/sys/kernel/panic": ["5", "6"],
        "isolated_cpus": ["1", ""],
        "sched.wakeup_preemption": ["0", "1"],
        "vcpu.quota": ["80%", "90%"],
    },
    HOST_SCOPE: {"/proc/sys/vm/swappiness": ["11", "22"], "kvm.halt_poll": ["1000", "2000"]},
}


class OpenSsh:
    """A Shell by OpenSSH on a connection that is open already: many short-lived processes share it."""

    def __init__(self, *words: str) -> None:
        self._words = words

    def run(self, command: str, *, timeout_s: float, check: bool = True) -> CommandResult:
        try:
            done = subprocess.run(
                [*self._words, command],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise GuestLost(f"{self._words}: no answer within {timeout_s} s") from None
        if done.returncode == 255:
            raise GuestLost(f"{self._words}: {done.stderr}")
        return CommandResult(done.returncode, done.stdout, done.stderr)

    def put(self, source: Path, target: str, mode: int = 0o644) -> None:
        raise AssertionError("not needed here")

    fetch = put

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class Ways:
    """How to reach a lab that is up. `host_ssh` is empty where the host is this machine."""

    state_dir: Path
    lab_id: str
    guest_ssh: tuple[str, ...]
    host_ssh: tuple[str, ...]
    host_program: str

    def plan(self) -> LabPlan:
        """The lab's plan."""
        return parse_plan_json((self.state_dir / "labs" / self.lab_id / "plan.json").read_bytes())

    def machine(self, name: str) -> KnobMachine:
        """The guest or the host."""
        if name != HOST_SCOPE:
            return guest_machine(name, OpenSsh(*self.guest_ssh))
        shell: Shell = OpenSsh(*self.host_ssh) if self.host_ssh else LocalShell()
        (record,) = (one for one in LabRecords(self.state_dir).all() if one.lab_id == self.lab_id)
        return KnobMachine(name, shell, self.host_program, f"{record.remote_dir}/knobs.fence")

    def driver(self) -> KnobDriver:
        """What drives the lab's knobs."""
        records, plan = LabRecords(self.state_dir), self.plan()
        claims = HostClaims(records, self.state_dir, self.lab_id, plan.host.where)
        return KnobDriver(KnobJournal(records.directory(self.lab_id)), self.machine, REGISTRY, claims)

    def values(self) -> dict[str, str]:
        """What all the knobs hold, by owner and name."""
        driver, plan = self.driver(), self.plan()
        settings = [
            (f"{node} {name} {number}", setting)
            for node, names in CHOICES.items()
            for name in names
            for number, setting in enumerate(plan_reading_in(plan, node, name))
        ]
        found: dict[str, str] = {}
        for machine in MACHINES:
            mine = [(key, setting) for key, setting in settings if setting.node == machine]
            values = driver.read_all([setting for _, setting in mine])
            found.update(zip([key for key, _ in mine], values, strict=True))
        return found


def restore(driver: KnobDriver) -> None:
    """Everything, as `lab knob restore` does."""
    with driver.writing() as writer:
        for name in MACHINES:
            writer.restore(name)


def write_until_killed(ways: Ways, seed: float, begun: Event) -> None:
    """Write at random. Ctrl-C puts everything back; SIGKILL leaves it to others."""
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    driver, plan, random_ = ways.driver(), ways.plan(), random.Random(seed)
    begun.set()
    try:
        while True:
            settings = _some_settings(plan, random_)
            for node in dict.fromkeys(one.node for one in settings):
                with driver.writing() as writer:
                    writer.write([one for one in settings if one.node == node], lambda _done: None)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        restore(driver)


def _some_settings(plan: LabPlan, random_: random.Random) -> list[KnobSetting]:
    node = random_.choice(list(CHOICES))
    names = random_.sample(list(CHOICES[node]), random_.randint(1, 2))
    return [
        one for name in names for one in plan_knob_in(plan, node, name, random_.choice(CHOICES[node][name]))
    ]
