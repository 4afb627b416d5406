# SPDX-License-Identifier: GPL-2.0-only
"""The spin load: work, affinity, start and stop."""

from __future__ import annotations

import os
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from probing import wait_until

HEADER, TASK = 64, 192


class Spin:
    """`pvspin` with one directory; what it leaves behind is ended with the test."""

    def __init__(self, program: Path, directory: Path) -> None:
        self._program, self.directory = program, directory

    def __call__(self, verb: str, name: str, *options: str) -> subprocess.CompletedProcess[str]:
        command = [self._program, verb, "--name", name, "--load-dir", self.directory, *options]
        return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=30)

    def pid(self, name: str) -> int:
        return int((self.directory / f"{name}.pid").read_text())

    def tasks(self, name: str) -> list[tuple[int, int, int, int]]:
        """(work, tid, vcpu, first word of the affinity) of every task, by load_layout.h."""
        data = (self.directory / name).read_bytes()
        magic, version, count = struct.unpack_from("8sII", data)
        assert (magic, version) == (b"PVSPIN\0\0", 1)
        return [struct.unpack_from("QiI8xQ", data, HEADER + TASK * task) for task in range(count)]


@pytest.fixture
def spin(pvspin: Path, tmp_path: Path) -> Iterator[Spin]:
    load = Spin(pvspin, tmp_path / "load")
    yield load
    for left in load.directory.glob("*.pid"):
        load("stop", left.stem)


def test_counters_are_complete_when_run_returns_and_grow(spin: Spin) -> None:
    assert spin("run", "busy", "--tasks", "2", "--daemon").returncode == 0
    first = spin.tasks("busy")
    threads = {int(path.name) for path in Path(f"/proc/{spin.pid('busy')}/task").iterdir()}
    assert {tid for _, tid, _, _ in first} <= threads and len(first) == 2
    wait_until("work", lambda: all(b[0] > a[0] for a, b in zip(first, spin.tasks("busy"), strict=True)))
    assert not list(spin.directory.glob(".*"))


def test_a_unit_of_work_takes_some_ten_microseconds(spin: Spin) -> None:
    spin("run", "busy", "--tasks", "1", "--daemon")
    work, tid, *_ = spin.tasks("busy")[0]
    schedstat = Path(f"/proc/{tid}/schedstat")
    run_ns = int(schedstat.read_text().split()[0])
    time.sleep(1)
    spent_ns = int(schedstat.read_text().split()[0]) - run_ns
    per_unit_ns = spent_ns / (spin.tasks("busy")[0][0] - work)
    assert 2_000 < per_unit_ns < 500_000


def test_tasks_have_names_and_no_affinity_is_set_unasked(spin: Spin) -> None:
    spin("run", "busy", "--tasks", "2", "--daemon")
    tids = [tid for _, tid, _, _ in spin.tasks("busy")]
    assert [Path(f"/proc/{tid}/comm").read_text().strip() for tid in tids] == ["busy/0", "busy/1"]
    assert all(os.sched_getaffinity(tid) == os.sched_getaffinity(0) for tid in tids)


def test_asked_affinity_is_set_and_a_change_is_seen(spin: Spin) -> None:
    spin("run", "busy", "--tasks", "1", "--vcpus", "0", "--daemon")
    _, tid, vcpu, mask = spin.tasks("busy")[0]
    assert os.sched_getaffinity(tid) == {0} and (vcpu, mask) == (0, 1)
    if len(os.sched_getaffinity(0)) > 1:
        os.sched_setaffinity(tid, {1})
        wait_until("the new affinity", lambda: spin.tasks("busy")[0][2:] == (1, 2))


def test_stop_ends_it_and_leaves_nothing(spin: Spin) -> None:
    spin("run", "busy", "--tasks", "1", "--daemon")
    pid = spin.pid("busy")
    assert spin("stop", "busy").returncode == 0
    assert list(spin.directory.iterdir()) == []
    wait_until("the process to end", lambda: not is_running(pid), 5)
    assert spin("stop", "busy").returncode == 1


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_load_runs_once(spin: Spin) -> None:
    spin("run", "busy", "--tasks", "1", "--daemon")
    again = spin("run", "busy", "--tasks", "1", "--daemon")
    assert again.returncode == 1 and f"runs already as process {spin.pid('busy')}" in again.stderr


def test_stop_ends_no_other_process_that_got_the_number(spin: Spin) -> None:
    spin.directory.mkdir()
    with subprocess.Popen(["sleep", "60"]) as other:
        (spin.directory / "busy.pid").write_text(f"{other.pid}\n")
        assert spin("stop", "busy").returncode == 1
        assert other.poll() is None
        other.kill()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("Busy", ["--tasks", "1"], "not Busy"),
        ("../x", ["--tasks", "1"], "not ../x"),
        ("busy", ["--tasks", "0"], "1 to 1024, not 0"),
        ("busy", ["--tasks", "2000"], "1 to 1024, not 2000"),
        ("busy", [], "missing option --tasks"),
        ("busy", ["--tasks", "1", "--vcpus", "1-0"], "not a cpulist: 1-0"),
        ("busy", ["--tasks", "1", "--vcpus", "x"], "not a cpulist: x"),
        ("busy", ["--tasks", "1", "--color", "red"], "unknown option --color"),
    ],
)
def test_a_wrong_request_is_refused(spin: Spin, name: str, options: list[str], message: str) -> None:
    done = spin("run", name, *options, "--daemon")
    assert done.returncode != 0 and message in done.stderr
    assert not list(spin.directory.glob("*")) if spin.directory.exists() else True
