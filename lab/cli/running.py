# SPDX-License-Identifier: GPL-2.0-only
"""A lab that is up, found again by its record: its plan, its keys, and ways into its guests."""

from __future__ import annotations

import difflib
import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from lab.cli.desk import Desk
from lab.cli.sshconfig import GuestLogin, render_ssh_config
from lab.errors import HostError, InputError, LabFailure
from lab.plan.labplan import HOST_SCOPE, LabPlan, parse_plan_json
from lab.run.knobmachines import Machines, machines_of
from lab.run.knobs import KnobDriver
from lab.run.lab import open_knobs
from lab.run.ports import Host, Shell
from lab.run.records import LabRecord, ProcessName
from lab.run.shells import GuestShells


@dataclass(frozen=True)
class RunningLab:
    """`host_keys` maps a node to the public key that its guest presents."""

    record: LabRecord
    plan: LabPlan
    directory: Path
    host_keys: dict[str, str]

    @property
    def key_file(self) -> Path:
        """The private key that opens the guests."""
        return self.directory / "key"

    def check_node(self, node: str) -> None:
        """Raise InputError unless the lab has the node."""
        names = [one.name for one in self.plan.nodes]
        if node not in names:
            near = difflib.get_close_matches(node, names, n=1)
            meant = f"; did you mean {near[0]}?" if near else f" (it has: {', '.join(names)})"
            raise InputError(f"lab {self.plan.name} has no node {node!r}{meant}")

    def node_names(self) -> tuple[str, ...]:
        """Its nodes, in the topology's order."""
        return tuple(one.name for one in self.plan.nodes)

    def select(self, wanted: str) -> tuple[str, ...]:
        """The nodes that names and globs with commas between mean, in the lab's order. Raises InputError where one
        of them means none."""
        names = self.node_names()
        for glob in wanted.split(","):
            if not any(fnmatchcase(name, glob) for name in names):
                self.check_node(glob)
        return tuple(name for name in names if any(fnmatchcase(name, glob) for glob in wanted.split(",")))

    def shell(self, host: Host, node: str) -> Shell:
        """A shell in a guest, through its host."""
        self.check_node(node)
        return host.guest_shell(self.plan.node(node).address, self.key_file, self.host_keys[node])


def find_running(desk: Desk, name: str | None) -> RunningLab:
    """The lab that is up under this name or id, or the only one. Raises InputError, LabFailure if it is damaged."""
    return read_running(desk, desk.records.find(name))


def read_running(desk: Desk, record: LabRecord) -> RunningLab:
    """The lab of a record whose guests have come up. Raises LabFailure if it is damaged."""
    directory = desk.records.directory(record.lab_id)
    try:
        plan = parse_plan_json((directory / "plan.json").read_bytes())
        lines = (directory / "host_keys").read_text().splitlines()
    except (OSError, ValueError) as error:
        raise LabFailure(
            f"lab {record.name} ({record.lab_id}): its files in {directory} cannot be read: {error}",
            f"`lab down {record.lab_id}` ends it",
        ) from None
    return RunningLab(record, plan, directory, dict(line.split(" ", 1) for line in lines))


@contextmanager
def open_running_host(desk: Desk, lab: RunningLab) -> Iterator[Host]:
    """The host of a lab that is up. Raises HostError where it does not run any more."""
    with desk.wiring.reopen_host(lab.record) as host:
        if host is None:
            raise HostError(
                f"lab {lab.plan.name}: the host VM that it was on does not run any more",
                f"`lab down {lab.record.lab_id}` forgets the lab",
            )
        yield host


@contextmanager
def open_running_machines(lab: RunningLab, host: Host) -> Iterator[Machines]:
    """The machines of a lab that is up, its guests and its host."""
    shells = GuestShells(host, lab.plan, lab.key_file, lab.host_keys)
    try:
        yield machines_of(host, lab.record.remote_dir, shells.__getitem__)
    finally:
        shells.close()


@contextmanager
def open_running_knobs(
    desk: Desk, lab: RunningLab, host: Host, owner: ProcessName | None = None
) -> Iterator[KnobDriver]:
    """What drives the knobs of a lab that is up; for `owner` see KnobDriver."""
    with open_running_machines(lab, host) as machines:
        yield open_knobs(desk.records, desk.places.state_dir, lab.record, lab.plan, machines, owner)


def machine_command(desk: Desk, lab: RunningLab, node: str, command: str) -> list[str]:
    """The words that run a shell command on a node, or on the host, by OpenSSH: its output comes as it is made."""
    if node != HOST_SCOPE:
        return ["ssh", "-F", str(write_ssh_config(desk, lab)), "-T", "-o", "BatchMode=yes", node, command]
    to_host = host_command(desk, lab)
    return [*to_host, command] if to_host else ["/bin/sh", "-c", command]


def terminal_on_host(desk: Desk, lab: RunningLab, words: Sequence[str]) -> list[str]:
    """The words that run a program on the lab's host with this terminal as its own. ssh looks for no escape of its
    own in what is typed."""
    to_host = host_command(desk, lab)
    if not to_host:
        return list(words)
    *ssh, target = to_host
    return [*ssh, "-t", "-e", "none", target, shlex.join(words)]


def write_ssh_config(desk: Desk, lab: RunningLab) -> Path:
    """An OpenSSH configuration in which every node is a host by its name; for `lab ssh`, scp, rsync."""
    logins = [GuestLogin(node.name, node.address, lab.host_keys[node.name]) for node in lab.plan.nodes]
    known_hosts, config = lab.directory / "known_hosts", lab.directory / "ssh_config"
    known_hosts.write_text("".join(f"{one.address} {one.host_key}\n" for one in logins))
    config.write_text(render_ssh_config(logins, lab.key_file, known_hosts, host_command(desk, lab)))
    return config


def host_command(desk: Desk, lab: RunningLab) -> tuple[str, ...]:
    """The ssh command that reaches the lab's host; empty where that is this machine."""
    where = lab.record.where
    if where == "nested":
        return ("ssh", "-F", str(desk.wiring.host_vm.ssh_config), "lab-host")
    if where.startswith("ssh://"):
        config = os.environ.get("LAB_SSH_CONFIG")
        return ("ssh", *(("-F", config) if config else ()), "-o", "BatchMode=yes", where)
    return ()
