# SPDX-License-Identifier: GPL-2.0-only
"""The host probe's snapshots of everything that runs: on this machine, with programs that are pinned and busy."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from probing import HostProbe, wait_until

from lab.measure.snapshots import KERNEL, LAB, NOBODY, HostSnapshot, HostTask

Spawn = Callable[..., subprocess.Popen[str]]
#: A program that is busy for good; its own name is `burn (a b)`, to see that names are read as they are.
BURN = "import ctypes\nctypes.CDLL(None).prctl(15, b'burn (a b)')\nwhile True: pass"
PCPU = min(os.sched_getaffinity(0))


@pytest.fixture
def burn(spawn: Spawn) -> subprocess.Popen[str]:
    """Somebody's busy process, pinned."""
    process = spawn("taskset", "-c", str(PCPU), sys.executable, "-c", BURN)
    comm = Path(f"/proc/{process.pid}/comm")
    wait_until("the busy process", lambda: comm.read_text() == "burn (a b)\n")
    return process


@pytest.fixture
def snapshot(host_probe: HostProbe) -> Iterator[Callable[[str], None]]:
    def take(name: str) -> None:
        host_probe.say(f"tasks {name}")
        host_probe.wait_event("tasks ")
        host_probe.events.clear()

    host_probe.wait_event("hello ")
    yield take


def tasks_of(snapshot: HostSnapshot, pid: int) -> dict[str, HostTask]:
    return {task.name: task for task in snapshot.tasks if task.pid == pid}


def test_a_busy_task_is_seen_with_what_it_ran(
    host_probe: HostProbe, snapshot: Callable[[str], None], burn: subprocess.Popen[str]
) -> None:
    for name in ("one", "two and more"):
        snapshot(name)
        time.sleep(1)
    first, second = host_probe.end().snapshots
    assert (first.name, second.name) == ("one", "two and more")
    ((name, before),) = tasks_of(first, burn.pid).items()
    after = tasks_of(second, burn.pid)[name]
    assert (name, after.owner, after.affinity, after.pcpu) == ("burn (a b)", NOBODY, (PCPU,), PCPU)
    assert after.key == before.key
    elapsed_ns = second.t0_ns - first.t0_ns
    assert 0 < after.run_ns - before.run_ns <= 1.05 * elapsed_ns
    assert {cpu.cpu for cpu in second.cpus} >= {PCPU}
    assert 0 < second.cost_ns <= second.t1_ns - second.t0_ns + 1_000_000


def test_only_what_ran_is_told_again(
    host_probe: HostProbe, snapshot: Callable[[str], None], spawn: Spawn
) -> None:
    sleeper = spawn("sleep", "60")
    time.sleep(0.3)
    for name in ("one", "two"):
        snapshot(name)
    first, second = host_probe.end().snapshots
    assert set(tasks_of(first, sleeper.pid)) == {"sleep"}
    assert not tasks_of(second, sleeper.pid)
    assert len(second.tasks) < len(first.tasks)


def test_the_labs_own_are_known(
    host_probe: HostProbe, snapshot: Callable[[str], None], spawn: Spawn, built: Path, tmp_path: Path
) -> None:
    emulator = spawn(built / "fake_emulator", "2", "30", tmp_path / "pid")
    hog = spawn("sleep", "60")
    (tmp_path / "hog").write_text(f"{hog.pid}\n")
    host_probe.say(f"guest g1 {tmp_path / 'pid'} - - -")
    host_probe.say(f"own hog {tmp_path / 'hog'}")
    commands = spawn("sleep", "60")
    host_probe.say(f"own commands {commands.pid}")
    time.sleep(1)
    snapshot("one")
    host_probe.say("disown hog")
    hog.kill()
    other = spawn("sleep", "60")
    (tmp_path / "hog").write_text(f"{other.pid}\n")
    time.sleep(0.2)
    snapshot("two")
    host_probe.say("own nothing")
    host_probe.wait_event("error - expected: own NAME PIDFILE|PID")
    first, second = host_probe.end().snapshots
    for one in (first, second):
        owned = tasks_of(one, emulator.pid)
        assert {"CPU 0/KVM", "CPU 1/KVM", "fake_emulator"} == set(owned), "even those that did not run"
        assert {task.owner for task in owned.values()} == {"g1"}
        assert {task.owner for task in tasks_of(one, host_probe.process.pid).values()} == {LAB}
        assert not one.tasks or not tasks_of(one, emulator.pid)["CPU 0/KVM"].is_helper
    (helper,) = tasks_of(first, commands.pid).values()
    assert (helper.owner, helper.is_helper, helper.is_guests) == ("@lab:commands", True, False)
    assert tasks_of(first, hog.pid)["sleep"].owner == "@lab:hog"
    assert tasks_of(second, other.pid)["sleep"].owner == NOBODY


#: Two children in turn, then a word that they are done, then busy for good.
PARENT = """
import pathlib, subprocess, sys
for _ in range(2):
    subprocess.run([sys.executable, "-c", "for _ in range(3_000_000): pass"])
pathlib.Path(sys.argv[1]).touch()
while True: pass
"""


def test_what_children_ran_that_ended_is_told(
    host_probe: HostProbe, snapshot: Callable[[str], None], spawn: Spawn, tmp_path: Path
) -> None:
    parent = spawn(sys.executable, "-c", PARENT, tmp_path / "done")
    snapshot("one")
    wait_until("both children", (tmp_path / "done").exists, deadline_s=60)
    time.sleep(0.3)
    snapshot("two")
    _, second = host_probe.end().snapshots
    (task,) = tasks_of(second, parent.pid).values()
    assert task.children_ns >= 20_000_000


def test_threads_of_the_kernel_are_told_from_processes(
    host_probe: HostProbe, snapshot: Callable[[str], None]
) -> None:
    if not Path("/proc/2/status").exists() or "kthreadd" not in Path("/proc/2/comm").read_text():
        pytest.skip("the kernel's threads are not visible here")
    snapshot("one")
    (only,) = host_probe.end().snapshots
    owners = {task.owner for task in only.tasks if task.name == "kthreadd"}
    assert owners == {KERNEL}


def test_groups_and_files_are_told_as_they_stand_there(
    host_probe: HostProbe, snapshot: Callable[[str], None], spawn: Spawn, built: Path, tmp_path: Path
) -> None:
    emulator = spawn(built / "fake_emulator", "1", "30", tmp_path / "pid")
    host_probe.say(f"guest g1 {tmp_path / 'pid'} - - -")
    time.sleep(0.5)
    snapshot("one")
    lines = Path(f"/proc/{emulator.pid}/cgroup").read_text().splitlines()
    (only,) = host_probe.end().snapshots
    unified = [line.removeprefix("0::") for line in lines if line.startswith("0::")]
    assert set(only.groups.values()) == set(unified)
    for path, value in only.files.items():
        assert Path(path).read_text().split("\n")[0] == value
    group = Path("/sys/fs/cgroup" + (unified[0] if unified else ""))
    if unified and unified[0] != "/" and (group / "cpu.max").exists():
        assert str(group / "cpu.max") in only.files
