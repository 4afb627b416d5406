# SPDX-License-Identifier: GPL-2.0-only
"""Whoever writes knobs of a real guest and its host is killed or interrupted, a hundred times: all are back.

A hundred rounds take two to four minutes on an emulated host. tests/run/test_run_knob_interrupts.py does the same
on trees of files, in less than one.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import knob_writer
import pytest
from e2e_lab import call
from knob_writer import MACHINES, NODE, Ways, restore, write_until_killed

from lab.places import Places
from lab.run.records import LabRecords
from lab.wiring import Wiring

INTERRUPTED = Path(__file__).parent / "data/interrupted.yaml"
ROUNDS = 100
SEED = 20261124
#: A round writes for this long at most: some ten writes.
LONGEST_S = 0.8
#: Late commands have ended by then.
LATE_S = 2.0
#: The rounds must not take longer: otherwise they belong cut down.
BUDGET_S = 600


class Silent:
    """A Narrator and a Progress."""

    def say(self, text: str) -> None: ...

    def step(self, what: str) -> None: ...

    def update(self, done: float | None, text: str) -> None: ...


@pytest.fixture
def ways(places: Places, tmp_path: Path) -> Iterator[Ways]:
    up = call("up", INTERRUPTED)
    assert up.status == 0, up.err
    try:
        assert call("exec", NODE, "--", "true").status == 0  # writes the lab's ssh_config
        (seen,) = (one for one in json.loads(call("status", "--json").out) if one["name"] == "interrupted")
        config = places.state_dir / "labs" / seen["lab_id"] / "ssh_config"
        ssh = ("ssh", "-F", str(config), "-o", f"ControlPath={tmp_path}/master", NODE)
        subprocess.run([*ssh[:-1], "-o", "ControlMaster=yes", "-f", "-N", NODE], check=True, timeout=60)
        yield Ways(
            places.state_dir,
            seen["lab_id"],
            ssh,
            host_ssh(places, seen["where"]),
            host_program(places, seen["lab_id"]),
        )
        subprocess.run([*ssh[:-1], "-O", "exit", NODE], check=True, timeout=60, capture_output=True)
    finally:
        down = call("down", "interrupted")
    assert down.status == 0, down.err


def host_ssh(places: Places, where: str) -> tuple[str, ...]:
    if where == "local":
        return ()
    return ("ssh", "-F", str(places.state_dir / "host/ssh_config"), "lab-host")


def host_program(places: Places, lab_id: str) -> str:
    """pvknob on the host, put there if need be."""
    wiring = Wiring(places, Silent(), Silent())
    (record,) = (one for one in LabRecords(places.state_dir).all() if one.lab_id == lab_id)
    with wiring.reopen_host(record) as host:
        assert host is not None
        return host.program("pvknob")


@pytest.mark.long
def test_knobs_of_guest_and_host_are_back_after_every_kill_and_interrupt(ways: Ways) -> None:
    before = ways.values()
    random_, forks = random.Random(SEED), multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload([knob_writer.__name__])
    began = time.monotonic()
    changed = 0
    for round_ in range(ROUNDS):
        begun = forks.Event()
        child = forks.Process(target=write_until_killed, args=(ways, random_.random(), begun))
        child.start()
        assert begun.wait(60)
        time.sleep(random_.uniform(0.0, LONGEST_S))
        end_somehow(child.pid or 0, random_)
        child.join(60)
        assert child.exitcode is not None, "Ctrl-C did not end it"
        changed += ways.driver().owes()
        restore(ways.driver())
        if round_ % 10 == 9:
            time.sleep(LATE_S)
        assert ways.values() == before, f"round {round_}, seed {SEED}"
    assert not any(ways.driver().owes(name) for name in MACHINES)
    assert changed > ROUNDS // 4, "hardly ever was there anything to put back"
    assert time.monotonic() - began < BUDGET_S


def end_somehow(pid: int, random_: random.Random) -> None:
    """Ctrl-C; a kill of the process, whose commands then are still on their way; or of these, too."""
    how = random_.choice(["interrupt", "kill", "kill-all"])
    if how == "interrupt":
        os.kill(pid, signal.SIGINT)
    elif how == "kill":
        os.kill(pid, signal.SIGKILL)
    else:
        os.killpg(pid, signal.SIGKILL)
