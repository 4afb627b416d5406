# SPDX-License-Identifier: GPL-2.0-only
"""Whoever writes knobs is killed or interrupted at random moments, a hundred times: they are always back after it.

The knobs are files of two trees and a module that has to be loaded anew, driven by the real pvknob through real
shells, which outlive who started them: a command may still be on its way when its sender is dead.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from run.knobchild import DELAYED, MACHINES, open_driver, plan_of_lab, restore, write_until_killed

from lab.run.records import LabRecords

ROOT = Path(__file__).parents[2]
ROUNDS = 100
SEED = 20261124
#: A round writes for this long at most, which is some ten writes.
LONGEST_S = 0.1
#: Of those who will be killed, pvknob starts late now and then: many a command is on its way when its sender
#: dies, and still is when what it is about to change was put back.
LATE = f'[ -z "${DELAYED}" ] || [ $(($(od -An -N1 -tu1 /dev/urandom) % 3)) != 0 ] || sleep 0.06'
RELEASE = os.uname().release
FILES = {
    "guest1": {
        "proc/sys/kernel/random/boot_id": "guest-boot\n",
        "sys/devices/system/cpu/paravirt": "\n",
        "proc/sys/kernel/one": "1\n",
        f"lib/modules/{RELEASE}/modules.dep": "k/dep.ko:\nk/steal_governor.ko: k/dep.ko\n",
        f"lib/modules/{RELEASE}/k/dep.ko": "",
        f"lib/modules/{RELEASE}/k/steal_governor.ko": "\0parmtype=low_threshold:u\0parmtype=high_threshold:u\0",
    },
    "host": {
        "proc/sys/kernel/random/boot_id": "host-boot\n",
        "proc/sys/kernel/one": "1\n",
        "sys/kernel/mm/two": "x\n",
    },
}


@pytest.fixture(scope="module")
def pvknob(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built")
    command = ["make", "-C", str(ROOT / "images/probe"), f"OUT={out}", str(out / "pvknob")]
    subprocess.run(command, check=True, timeout=120, stdout=subprocess.DEVNULL)
    return out / "pvknob"


@pytest.fixture
def trees(pvknob: Path, tmp_path: Path) -> Path:
    for machine, files in FILES.items():
        tree = tmp_path / machine
        for name, text in files.items():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_text(text)
        script = tree / "pvknob.sh"
        script.write_text(f'#!/bin/sh\n{LATE}\nexec {pvknob} --root {tree} "$@"\n')
        script.chmod(0o755)
    (tmp_path / "guest1/sbin").mkdir()
    (tmp_path / "guest1/sys/module").mkdir()
    loader = tmp_path / "guest1/sbin/loader"
    loader.write_text((ROOT / "tests/unit/probe/fake_loader.sh").read_text())
    loader.chmod(0o755)
    return tmp_path


def knobs_of(trees: Path) -> dict[str, str]:
    """Everything that is a knob, modules included; what `dep` loaded once stays."""
    paths = [trees / machine / name for machine, files in FILES.items() for name in files]
    paths += (trees / "guest1/sys/module").glob("steal_governor/parameters/*")
    return {str(path.relative_to(trees)): text for path in paths if (text := text_of(path)) is not None}


def text_of(path: Path) -> str | None:
    """None where a module is being unloaded just now."""
    try:
        return path.read_text()
    except FileNotFoundError:
        return None


def settle(trees: Path) -> None:
    """Until no pvknob is left that somebody dead has started."""
    deadline = time.monotonic() + 10
    while any(str(trees) in line for line in _command_lines()):
        assert time.monotonic() < deadline, "a pvknob that does not end"
        time.sleep(0.005)


def _command_lines() -> list[str]:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return lines


@pytest.mark.parametrize("loaded", [False, True], ids=["module-unloaded", "module-loaded"])
def test_knobs_are_back_after_every_kill_and_interrupt(trees: Path, tmp_path: Path, loaded: bool) -> None:
    state_dir = tmp_path / "state"
    LabRecords(state_dir).create(plan_of_lab(), "/nowhere")
    if loaded:
        command = [trees / "guest1/pvknob.sh", "set", "module:steal_governor", "1\\x20low_threshold=250"]
        subprocess.run(command, check=True, timeout=20, stdout=subprocess.DEVNULL)
    before = knobs_of(trees)
    random_ = random.Random(SEED + loaded)
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(["run.knobchild"])
    changed = 0
    for round_ in range(ROUNDS // 2):
        begun = forks.Event()
        child = forks.Process(target=write_until_killed, args=(state_dir, trees, random_.random(), begun))
        child.start()
        assert begun.wait(30)
        time.sleep(random_.uniform(0.0, LONGEST_S))
        number = random_.choice([signal.SIGKILL, signal.SIGINT])
        os.kill(child.pid or 0, number)
        if number == signal.SIGINT and random_.random() < 0.3:  # killed while it puts them back
            time.sleep(random_.uniform(0.0, 0.05))
            child.kill()
        child.join(30)
        changed += knobs_of(trees) != before
        restore(open_driver(state_dir, trees))
        assert knobs_of(trees) == before, f"round {round_}, seed {SEED + loaded}"
        settle(trees)
        assert knobs_of(trees) == before, (
            f"round {round_}, seed {SEED + loaded}: a command that came too late"
        )
    assert not any(open_driver(state_dir, trees).owes(name) for name in MACHINES)
    assert changed > ROUNDS // 10, "hardly ever was there anything to put back"
