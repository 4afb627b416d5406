# SPDX-License-Identifier: GPL-2.0-only
"""Verbs that work on a lab that is up: found by its record, reached with its keys."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from cli.driving import LAB, Driver, FakeHost, FakeHypervisor, FakeShell, wiring_with
from cli.recordings import TOPOLOGY, plan_of

from lab.cli.running import find_running, write_ssh_config
from lab.cli.sshconfig import GuestLogin, render_ssh_config
from lab.cli.status import render_age
from lab.errors import ExitCode
from lab.plan.labplan import LabPlan, render_plan_json
from lab.run.records import LabRecord, LabRecords, LabState

TWO_VCPUS = TOPOLOGY.replace('vcpus: 1, pinning: ["0"]', 'vcpus: 2, pinning: ["0", "0"]')
PLAN = plan_of(TWO_VCPUS + 'hogs: [{name: noise, pcpus: "0", duty: 20%}]\n')
KNOB_FILE = "/sys/devices/system/cpu/paravirt"
AUTOGROUP = "/proc/sys/kernel/sched_autogroup_enabled"
HOST_KEYS = {"one": "ssh-ed25519 AAAAone", "two": "ssh-ed25519 AAAAtwo"}


class UpLab:
    """A lab that is up, as far as its record and its host's fakes say."""

    def __init__(self, driver: Driver, where: str = "local", plan: LabPlan = PLAN) -> None:
        self.records = LabRecords(driver.state_dir)
        plan = replace(plan, host=replace(plan.host, where=where))
        record = self.records.create(plan, "/remote/cafe01")
        self.directory = self.records.directory(plan.lab_id)
        (self.directory / "plan.json").write_text(render_plan_json(plan))
        (self.directory / "host_keys").write_text("".join(f"{n} {key}\n" for n, key in HOST_KEYS.items()))
        (self.directory / "key").write_text("secret")
        self.record: LabRecord = self.records.update(record, LabState.UP)
        self.shells = {node.name: FakeShell({}) for node in plan.nodes}
        self.hypervisor = FakeHypervisor(
            {**dict.fromkeys(record.domains, plan.lab_id), "foreign": "beef02"}, {record.network: plan.lab_id}
        )
        guests = {node.address: self.shells[node.name] for node in plan.nodes}
        self.host = FakeHost(guests, self.hypervisor)
        driver.wiring = wiring_with(self.host)


@pytest.fixture
def up(lab: Driver) -> UpLab:
    return UpLab(lab)


def test_nothing_up_is_said_plainly(lab: Driver) -> None:
    assert lab("status").out == "no lab\n"
    for verb in (("down",), ("ssh", "one"), ("exec", "one", "true"), ("knob", "list", "one")):
        done = lab(*verb)
        assert done.code == ExitCode.BAD_INPUT
        assert "no lab is up" in done.err


def test_status_shows_nodes_and_addresses(lab: Driver, up: UpLab) -> None:
    done = lab("status")
    assert "pair (cafe01) on local: up, " in done.out
    for node in PLAN.nodes:
        assert f"{node.name:<16} {node.address}" in done.out
    (seen,) = json.loads(lab("status", "--json").out)
    assert set(seen) == {"name", "lab_id", "where", "state", "age_s", "owner_pid", "pcpus", "nodes"}
    assert seen["nodes"][0] == {"name": "one", "address": PLAN.nodes[0].address}
    assert seen["owner_pid"] == os.getpid()


def test_status_tells_orphans(lab: Driver, up: UpLab) -> None:
    up.records.update(replace(up.record, boot_id="of another boot"), LabState.UP)
    assert "orphan" in lab("status").out


@pytest.mark.parametrize(
    ("age_s", "text"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (172800, "2 d")]
)
def test_ages_are_short(age_s: float, text: str) -> None:
    assert render_age(age_s) == text


def test_a_knob_is_read(lab: Driver, up: UpLab) -> None:
    up.shells["one"].kernel.values = {KNOB_FILE: "0-1"}
    assert lab("knob", "get", "one", "avoid_cpus").out == "0-1\n"
    address = PLAN.node("one").address
    assert up.host.asked == [(address, up.directory / "key", HOST_KEYS["one"])]
    assert up.shells["one"].closed


def test_a_knob_is_written_and_read_back(lab: Driver, up: UpLab) -> None:
    up.shells["two"].kernel.values = {AUTOGROUP: "1"}
    assert lab("knob", "set", "two", AUTOGROUP, "0").out == f"two {AUTOGROUP}: 1 -> 0\n"


def test_a_knob_that_kept_another_value_is_a_failure(lab: Driver, up: UpLab) -> None:
    kernel = up.shells["two"].kernel
    kernel.values, kernel.stubborn = {AUTOGROUP: "1"}, (AUTOGROUP,)
    done = lab("knob", "set", "two", AUTOGROUP, "0")
    assert done.code == ExitCode.LAB_FAILED
    assert "read back '1'" in done.err


def test_knobs_are_listed_with_what_the_kernel_has(lab: Driver, up: UpLab) -> None:
    assert "not in this kernel" in lab("knob", "list", "one").out
    up.shells["one"].kernel.values = {KNOB_FILE: ""}
    assert lab("knob", "list", "one").out.splitlines()[0].split() == ["avoid_cpus", "empty"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("get", "on", "avoid_cpus"), "did you mean one?"),
        (("get", "one", "avoid_cpu"), "avoid_cpus"),
        (("set", "one", "avoid_cpus", "x"), "cpulist"),
    ],
)
def test_knobs_and_nodes_that_cannot_be_are_bad_input(
    lab: Driver, up: UpLab, args: tuple[str, ...], said: str
) -> None:
    done = lab("knob", *args)
    assert done.code == ExitCode.BAD_INPUT
    assert said in done.err


def test_a_load_starts_and_stops_on_all_its_nodes(lab: Driver, up: UpLab) -> None:
    for shell in up.shells.values():
        shell.answers = {"pvspin": ""}
    assert lab("load", "start", "busy").out == "started busy on one, two\n"
    assert lab("load", "stop", "busy").out == "stopped busy on one, two\n"
    for shell in up.shells.values():
        assert [command.split()[:2] for command in shell.commands] == [["pvspin", "run"], ["pvspin", "stop"]]


def test_a_load_with_a_command_starts_at_once_and_tells_its_figures_when_stopped(lab: Driver) -> None:
    hack = "load:\n  - {name: hack, kind: hackbench}\n"
    up = UpLab(lab, plan=plan_of(TWO_VCPUS.replace("load:\n", hack)))
    for shell in up.shells.values():
        shell.answers = {
            "pvload release": "now 5\n",
            "pvload": "",
            "rm": "",
            "cat /run/lab/loads/hack/0/out": "Time: 2.5\n",
        }
    assert lab("load", "start", "hack").out == "started hack on one, two\n"
    out = lab("load", "stop", "hack").out
    assert out.startswith("stopped hack on one, two\n")
    assert "  one time 2.5 s\n" in out and "  two messages 32000 1/s" in out
    commands = [command for command in up.shells["one"].commands if command.startswith("pvload")]
    assert [command.split()[1] for command in commands] == ["wait", "arm", "release", "stop"]
    assert "--at 0" in commands[2] and "-- hackbench --groups 2" in commands[1]


def test_a_hog_starts_and_stops_on_the_host(lab: Driver, up: UpLab) -> None:
    assert lab("load", "start", "noise").out == "started noise on pCPU 0 of the host\n"
    assert lab("load", "stop", "noise").out == "stopped noise on pCPU 0 of the host\n"
    start, stop = up.host.shell.commands
    assert "--duty 20 --period 10ms" in start and "--load-dir /remote/cafe01/hogs" in start
    assert "--beside lab-cafe01-one --weight 100" in start
    assert stop == "pvspin stop --name noise --load-dir /remote/cafe01/hogs"


def test_an_unknown_load_is_bad_input(lab: Driver, up: UpLab) -> None:
    done = lab("load", "start", "bsy")
    assert done.code == ExitCode.BAD_INPUT
    assert "it has: busy" in done.err


def test_a_host_vm_that_is_gone_is_an_unfit_host(lab: Driver) -> None:
    UpLab(lab, "nested")
    lab.wiring = wiring_with(None)
    done = lab("knob", "get", "one", "avoid_cpus")
    assert done.code == ExitCode.HOST_UNFIT
    assert "`lab down cafe01` forgets the lab" in done.err


def test_down_ends_what_the_lab_owns_and_nothing_else(lab: Driver, up: UpLab) -> None:
    assert lab("down", "pair").out == "lab pair (cafe01) is down\n"
    assert up.hypervisor.domains() == {"foreign": "beef02"}
    assert up.hypervisor.networks() == {}
    assert up.host.shell.commands == ["pvspin end --load-dir /remote/cafe01/hogs", "rm -rf /remote/cafe01"]
    assert up.records.all() == ()


def test_down_wants_a_lab_that_is_up(lab: Driver, up: UpLab) -> None:
    assert lab("down", "other").code == ExitCode.BAD_INPUT
    assert len(up.records.all()) == 1


def test_gc_leaves_living_labs_alone(lab: Driver, up: UpLab) -> None:
    assert lab("gc").out == "nothing was left behind\n"
    assert len(up.records.all()) == 1


def test_gc_ends_orphans(lab: Driver, up: UpLab) -> None:
    up.records.update(replace(up.record, owner_start=0), LabState.RUNNING)
    assert "would end pair (cafe01) on local" in lab("gc", "--dry-run").out
    assert len(up.records.all()) == 1
    assert lab("gc").out == "ended pair (cafe01) on local\n"
    assert up.hypervisor.domains() == {"foreign": "beef02"}


def test_host_down_spares_labs_that_are_on_it(lab: Driver) -> None:
    UpLab(lab, "nested")
    done = lab("host", "down")
    assert done.code == ExitCode.BAD_INPUT
    assert "pair (cafe01)" in done.err


# OpenSSH


@pytest.fixture
def fake_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An ssh that prints its arguments one a line, and its stdin, and ends with status 7."""
    program = tmp_path / "bin/ssh"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\ncat\nexit 7\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return program


def _call(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LAB, *args], capture_output=True, text=True, timeout=60, input="from stdin\n", check=False
    )


def test_exec_passes_arguments_stdin_and_status_through(up: UpLab, fake_ssh: Path) -> None:
    done = _call("exec", "one", "--", "sh", "-c", "echo $0 'x y'")
    assert done.returncode == 7
    config = up.directory / "ssh_config"
    said = done.stdout.splitlines()
    assert said[:2] == ["-F", str(config)]
    assert said[-3:-1] == ["one", shlex.join(["sh", "-c", "echo $0 'x y'"])]
    assert said[-1] == "from stdin"
    assert done.stderr == ""


def test_ssh_becomes_openssh(up: UpLab, fake_ssh: Path) -> None:
    done = _call("ssh", "two")
    assert done.stdout.splitlines() == ["-F", str(up.directory / "ssh_config"), "two", "from stdin"]
    assert done.returncode == 7
    assert _call("ssh", "two", "--lab", "pair", "--", "uname", "-r").stdout.splitlines()[2:5] == [
        "two",
        "uname",
        "-r",
    ]


def test_the_ssh_config_checks_host_keys(lab: Driver, up: UpLab) -> None:
    from lab.cli.desk import make_desk

    desk = make_desk()
    config = write_ssh_config(desk, find_running(desk, None))
    known = (up.directory / "known_hosts").read_text().splitlines()
    assert known == [f"{node.address} {HOST_KEYS[node.name]}" for node in PLAN.nodes]
    seen = _openssh_reads(config, "one")
    assert seen["hostname"] == PLAN.node("one").address
    assert seen["user"] == "root"
    assert seen["stricthostkeychecking"] in ("yes", "true")
    assert seen["userknownhostsfile"] == str(up.directory / "known_hosts")
    assert seen["identityfile"] == str(up.directory / "key")


def test_the_ssh_config_goes_through_the_host() -> None:
    proxy = ("ssh", "-F", "/state dir/100%/ssh_config", "lab-host")
    text = render_ssh_config([GuestLogin("one", "10.1.2.3", "k")], Path("/k"), Path("/h"), proxy)
    assert "  ProxyCommand ssh -F '/state dir/100%%/ssh_config' -W %h:%p lab-host\n" in text


def _openssh_reads(config: Path, host: str) -> dict[str, str]:
    done = subprocess.run(
        ["ssh", "-G", "-F", config, host], capture_output=True, text=True, timeout=20, check=True
    )
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
