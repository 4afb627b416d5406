# SPDX-License-Identifier: GPL-2.0-only
"""The spin load: work, affinity, start and stop."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from probing import HostProbe, wait_until

HEADER, TASK = 64, 192


class Spin:
    """`pvspin` with one directory; what it leaves behind is ended with the test."""

    def __init__(self, program: Path, directory: Path) -> None:
        self._program, self.directory = program, directory

    def __call__(self, verb: str, name: str, *options: str) -> subprocess.CompletedProcess[str]:
        command = [self._program, verb, "--name", name, "--load-dir", self.directory, *options]
        return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=30)

    def bare(self, verb: str) -> subprocess.CompletedProcess[str]:
        """A command about all loads."""
        command = [str(self._program), verb, "--load-dir", str(self.directory)]
        return subprocess.run(command, capture_output=True, text=True, timeout=30)

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
        ("busy", ["--tasks", "1", "--duty", "101"], "0 to 100 per cent, not 101"),
        ("busy", ["--tasks", "1", "--duty", "-1"], "0 to 100 per cent, not -1"),
        ("busy", ["--tasks", "1", "--duty", "nan"], "0 to 100 per cent, not nan"),
        ("busy", ["--tasks", "1", "--period", "10"], "1ms to 10s, not 10"),
        ("busy", ["--tasks", "1", "--period", "0.5ms"], "1ms to 10s, not 0.5ms"),
        ("busy", ["--tasks", "1", "--one-each"], "--one-each needs --vcpus"),
        ("busy", ["--tasks", "1", "--beside", "g"], "belong together"),
    ],
)
def test_a_wrong_request_is_refused(spin: Spin, name: str, options: list[str], message: str) -> None:
    done = spin("run", name, *options, "--daemon")
    assert done.returncode != 0 and message in done.stderr
    assert not list(spin.directory.glob("*")) if spin.directory.exists() else True


# ---- tasks that want a part of a CPU only


def shown(spin: Spin, name: str) -> list[dict[str, int]]:
    """What `show` says of every task of a load."""
    lines = [line.split() for line in spin.bare("show").stdout.splitlines()]
    return [
        {key: int(value) for key, value in (word.split("=") for word in words[3:])}
        for words in lines
        if words[:2] == ["task", name]
    ]


def ran_pct(spin: Spin, name: str, seconds: float) -> float:
    """The part of some time that the first task of a load ran for."""
    first = shown(spin, name)[0]
    time.sleep(seconds)
    last = shown(spin, name)[0]
    return 100 * (last["run_ns"] - first["run_ns"]) / (last["t_ns"] - first["t_ns"])


def test_a_duty_is_kept_and_can_be_changed(spin: Spin) -> None:
    """How exactly it is kept is tested in simulated time (test_pace): this machine may be busy."""
    spin("run", "hog", "--tasks", "1", "--duty", "10", "--daemon")
    assert 0 < ran_pct(spin, "hog", 1.0) < 15
    assert spin("duty", "hog", "--duty", "0").returncode == 0
    time.sleep(0.1)
    assert ran_pct(spin, "hog", 0.3) < 1
    assert spin("duty", "hog", "--duty", "100").returncode == 0
    wait_until("it to work all the time", lambda: ran_pct(spin, "hog", 0.2) > 15)
    assert shown(spin, "hog")[0]["duty_ppm"] == 1_000_000


def switches(spin: Spin, name: str) -> int:
    """How often the first task of a load went to sleep."""
    pid, tid = spin.pid(name), spin.tasks(name)[0][1]
    text = Path(f"/proc/{pid}/task/{tid}/status").read_text()
    return int(text.partition("\nvoluntary_ctxt_switches:")[2].split()[0])


def test_a_task_that_rests_does_not_wake_up_to_look(spin: Spin) -> None:
    """On the host each time would be a preemption."""
    spin("run", "hog", "--tasks", "1", "--duty", "2", "--period", "500ms", "--daemon")
    before, begin = switches(spin, "hog"), time.monotonic()
    time.sleep(2.2)
    assert switches(spin, "hog") - before <= 1 + (time.monotonic() - begin) / 0.5


@pytest.mark.parametrize("by", ["command", "probe"])
def test_a_new_duty_ends_a_long_rest(spin: Spin, host_probe: HostProbe, by: str) -> None:
    spin("run", "hog", "--tasks", "1", "--duty", "0", "--daemon")
    wait_until("it to rest", lambda: switches(spin, "hog") > 0)
    work, begin = spin.tasks("hog")[0][0], time.monotonic()
    if by == "probe":
        host_probe.say(f"duty {spin.directory / 'hog'} 500000")
    else:
        assert spin("duty", "hog", "--duty", "50").returncode == 0
    wait_until("work", lambda: spin.tasks("hog")[0][0] > work + 10)
    assert time.monotonic() - begin < 5


def may_be_realtime() -> bool:
    """Whether this process may have tasks of SCHED_FIFO."""
    command = [sys.executable, "-c", "import os; os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))"]
    return subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0


@pytest.mark.skipif(not may_be_realtime(), reason="needs CAP_SYS_NICE")
def test_a_realtime_load_runs_before_all_others(spin: Spin) -> None:
    spin("run", "hog", "--tasks", "2", "--duty", "2", "--realtime", "--daemon")
    tids = [tid for _, tid, _, _ in spin.tasks("hog")]
    assert [os.sched_getscheduler(tid) for tid in tids] == [os.SCHED_FIFO] * 2
    assert [os.sched_getparam(tid).sched_priority for tid in tids] == [1, 1]


def test_a_realtime_load_that_may_not_be_one_is_refused(pvspin: Path, tmp_path: Path) -> None:
    command = [pvspin, "run", "--name", "hog", "--tasks", "1", "--realtime", "--load-dir", tmp_path]
    done = subprocess.run(
        ["setpriv", "--bounding-set=-sys_nice", "--inh-caps=-sys_nice", *command],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 1 and "SCHED_FIFO for load hog: Operation not permitted" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_duty_is_of_a_load_that_runs(spin: Spin) -> None:
    spin.directory.mkdir()
    assert spin("duty", "hog", "--duty", "10").returncode == 1
    (spin.directory / "hog").write_bytes(b"")
    assert spin("duty", "hog", "--duty", "10").returncode == 1


def test_the_probe_changes_a_duty_at_once(spin: Spin, host_probe: HostProbe) -> None:
    spin("run", "hog", "--tasks", "1", "--duty", "5", "--daemon")
    host_probe.say(f"duty {spin.directory / 'hog'} 250000")
    wait_until("the new duty", lambda: shown(spin, "hog")[0]["duty_ppm"] == 250_000)


@pytest.mark.parametrize("what", ["hog", "hog x", "hog 1000001", "hog 5 6", "missing 5", "other 5"])
def test_the_probe_refuses_what_is_no_duty(spin: Spin, host_probe: HostProbe, what: str) -> None:
    spin("run", "hog", "--tasks", "1", "--duty", "5", "--daemon")
    (spin.directory / "other").write_bytes(b"no counters" * 10)
    host_probe.say(f"duty {spin.directory}/{what}")
    host_probe.wait_event("error - ")
    assert shown(spin, "hog")[0]["duty_ppm"] == 50_000


def test_a_task_for_each_cpu(spin: Spin) -> None:
    cpus = sorted(os.sched_getaffinity(0))
    listed = ",".join(map(str, cpus))
    spin("run", "hog", "--tasks", str(len(cpus)), "--vcpus", listed, "--one-each", "--duty", "1", "--daemon")
    tids = [tid for _, tid, _, _ in spin.tasks("hog")]
    assert [os.sched_getaffinity(tid) for tid in tids] == [{cpu} for cpu in cpus]


def test_show_leaves_out_what_does_not_run(spin: Spin) -> None:
    assert spin.bare("show").stdout == ""
    spin("run", "hog", "--tasks", "2", "--duty", "1", "--daemon")
    (spin.directory / "gone.pid").write_text("999999999\n")
    lines = spin.bare("show").stdout.splitlines()
    assert [line.split()[:3] for line in lines] == [["task", "hog", "0"], ["task", "hog", "1"]]


def test_end_stops_all_and_lets_none_start_again(spin: Spin) -> None:
    for name in ("one", "two"):
        spin("run", name, "--tasks", "1", "--duty", "1", "--daemon")
    pids = [spin.pid(name) for name in ("one", "two")]
    assert spin.bare("end").returncode == 0
    wait_until("all to end", lambda: not any(is_running(pid) for pid in pids), 5)
    ended = spin.directory.with_name("load.ended")
    assert not spin.directory.exists() and list(ended.iterdir()) == []
    assert spin.bare("end").returncode == 0


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A tree with a domain in a control group, as libvirt has it without systemd."""
    root = tmp_path / "root"
    files = {
        "proc/mounts": "cgroup2 /cg cgroup2 rw 0 0\n",
        "run/libvirt/qemu/lab-a-g1.pid": "77\n",
        "proc/77/task/77/cgroup": "4:cpu:/old\n0::/machine/g1/emulator\n",
        "cg/machine/lab-a-hog/cpu.weight": "100\n",
        "cg/machine/lab-a-hog/cgroup.procs": "",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def beside(machine: Path, domain: str = "lab-a-g1") -> list[str]:
    group = ["--beside", domain, "--group", "lab-a-hog", "--weight", "300"]
    return ["--tasks", "1", "--duty", "1", "--root", str(machine), *group, "--daemon"]


@pytest.mark.parametrize("below", ["machine/g1/emulator", "machine/g1/libvirt/emulator", "machine/g1"])
def test_a_hog_has_a_group_beside_the_domains(spin: Spin, machine: Path, below: str) -> None:
    (machine / "proc/77/task/77/cgroup").write_text(f"0::/{below}\n")
    spin.directory.mkdir()
    done = spin("run", "hog", *beside(machine))
    assert done.returncode == 0, done.stderr
    group = machine / "cg/machine/lab-a-hog"
    assert (group / "cpu.weight").read_text() == "300\n"
    assert (group / "cgroup.procs").read_text() == f"{spin.pid('hog')}\n"
    for path in group.iterdir():  # the kernel's files go with the directory
        path.unlink()
    assert spin("stop", "hog").returncode == 0
    assert not group.exists() and list(spin.directory.iterdir()) == []


def test_a_hog_beside_no_domain_leaves_nothing(spin: Spin, machine: Path) -> None:
    spin.directory.mkdir()
    done = spin("run", "hog", *beside(machine, "lab-a-g2"))
    assert done.returncode == 1 and "lab-a-g2" in done.stderr
    assert list(spin.directory.iterdir()) == []


def test_a_hog_whose_directory_is_gone_does_not_start(spin: Spin, machine: Path) -> None:
    done = spin("run", "hog", *beside(machine))
    assert done.returncode == 1 and not spin.directory.exists()


def test_what_is_left_of_a_killed_hog_is_cleared_by_end(spin: Spin, machine: Path) -> None:
    spin.directory.mkdir()
    spin("run", "hog", *beside(machine))
    os.kill(spin.pid("hog"), 9)
    group = machine / "cg/machine/lab-a-hog"
    for path in group.iterdir():
        path.unlink()
    wait_until("its end", lambda: spin.bare("show").stdout == "")
    assert spin.bare("end").returncode == 0
    assert not group.exists()
