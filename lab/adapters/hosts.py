# SPDX-License-Identifier: GPL-2.0-only
"""Hosts that run guests: this machine, or one behind ssh. The Host port."""

from __future__ import annotations

import hashlib
import secrets
import shlex
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

from lab.adapters.agent import ProcessAgent
from lab.adapters.libvirt import LibvirtHypervisor
from lab.adapters.local_shell import LocalShell
from lab.adapters.ssh import SshShell, connect_guest, connect_host
from lab.errors import GuestLost, HostError
from lab.plan.facts import HostFacts
from lab.run.ports import Agent, HostProgram, Shell
from lab.units import parse_cpulist, parse_cpulists

_FACTS_TIMEOUT_S = 60
_STAGE_TIMEOUT_S = 600


@dataclass(frozen=True)
class Programs:
    """The lab's own programs that run on hosts, on this machine."""

    probe: Path
    knob: Path
    spin: Path
    trace: Path


def staged_path(store_dir: str, source: Path) -> str:
    """The path on a host reached by ssh under which the bytes of `source` are kept there, once they are."""
    with source.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()[:24]
    # In a directory of its own: a program goes by its file's name in tables of threads and in traces.
    return f"{store_dir}/store/{digest}/{source.name}"


class LibvirtHost:
    """A host made of a shell, its libvirt, and a way to start the probe on it."""

    def __init__(
        self,
        facts: HostFacts,
        shell: LocalShell | SshShell,
        hypervisor: LibvirtHypervisor,
        programs: Programs,
        ssh_command: Sequence[str],
    ) -> None:
        self.facts = facts
        self.shell: Shell = shell
        self.hypervisor = hypervisor
        self._gateway = shell if isinstance(shell, SshShell) else None
        self._programs = programs
        self._ssh_command = tuple(ssh_command)
        self._staged: dict[Path, str] = {}

    def program(self, name: HostProgram) -> str:
        """One of the lab's programs on this host."""
        programs = self._programs
        return self.stage({"pvknob": programs.knob, "pvspin": programs.spin, "pvtrace": programs.trace}[name])

    def stage(self, source: Path) -> str:
        """The host's path of the same bytes; named by their hash, so that they are copied once."""
        if self._gateway is None:
            return str(source)
        if source not in self._staged:
            self._staged[source] = self._stage(source)
        return self._staged[source]

    def _stage(self, source: Path) -> str:
        target = staged_path(self.facts.store_dir, source)
        known = self.shell.run(f"test -e {shlex.quote(target)}", timeout_s=_STAGE_TIMEOUT_S, check=False)
        if known.status != 0:
            self._copy(source, target)
        return target

    def _copy(self, source: Path, target: str) -> None:
        """Another lab may be copying the same file at the same time: whoever is last replaces like by like."""
        part, final = f"{target}.{secrets.token_hex(4)}.part", shlex.quote(target)
        self.shell.run(f"mkdir -p $(dirname {final})", timeout_s=_STAGE_TIMEOUT_S)
        self.shell.put(source, part, 0o755)
        self.shell.run(f"mv -f {shlex.quote(part)} {final}", timeout_s=_STAGE_TIMEOUT_S)

    def start_agent(self, stream: str, interval_ms: int) -> AbstractContextManager[Agent]:
        """The probe on this host."""
        argv = [self.stage(self._programs.probe), "host", "--out", stream, "--interval", str(interval_ms)]
        command = [*self._ssh_command, shlex.join(argv)] if self._ssh_command else argv
        return start_agent(command, f"probe on {self.facts.where}")

    def console(self) -> bytes:
        """Whoever owns this host sees its console."""
        return b""

    def guest_shell(self, address: str, key_file: Path, host_key: str) -> Shell:
        """A shell inside a guest, through this host."""
        return connect_guest(address, key_file, host_key, self._gateway, GuestLost)

    def start_outer(self, stream: Path, interval_ms: int) -> AbstractContextManager[Agent | None]:
        """No outside of this host can be seen."""
        return _nothing_outside()

    def close(self) -> None:
        """Give both connections up."""
        self.hypervisor.close()
        self.shell.close()


@contextmanager
def start_agent(argv: Sequence[str], name: str) -> Iterator[Agent]:
    """A `pvprobe host` that ends with the context."""
    agent = ProcessAgent(argv, name)
    try:
        yield agent
    finally:
        agent.stop()


@contextmanager
def _nothing_outside() -> Iterator[Agent | None]:
    yield None


def open_local_host(where: str, programs: Programs, store_dir: Path, emulator: str | None) -> LibvirtHost:
    """This machine. `emulator` is what to use where the machine has no QEMU of its own."""
    shell = LocalShell()
    hypervisor = LibvirtHypervisor("qemu:///system")
    facts = read_host_facts(where, shell, hypervisor, str(store_dir), emulator)
    return LibvirtHost(facts, shell, hypervisor, programs, ())


def open_ssh_host(
    where: str, target: str, ssh_config: Path | None, programs: Programs, store_dir: str
) -> LibvirtHost:
    """The machine behind `target`, reached as `ssh_config` says (the user's own where None)."""
    ssh = ["ssh", *(["-F", str(ssh_config)] if ssh_config else []), "-o", "BatchMode=yes"]
    with ThreadPoolExecutor(1) as pool:  # two key exchanges take as long as one
        opening = pool.submit(LibvirtHypervisor, _libvirt_uri(target, ssh_config))
        shell = connect_host(target, ssh_config)
        try:
            hypervisor = opening.result()
            facts = read_host_facts(where, shell, hypervisor, store_dir, None)
        except BaseException:
            shell.close()
            raise
    keepalive = ["-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=6"]
    return LibvirtHost(facts, shell, hypervisor, programs, (*ssh, *keepalive, target))


def _libvirt_uri(target: str, ssh_config: Path | None) -> str:
    # libvirt's ssh transport takes no configuration file, but it takes another command in place of ssh. And the
    # one it starts itself would die of the terminal's Ctrl-C, together with all hope of cleaning up.
    apart = str(files("lab.adapters").joinpath("ssh_apart.sh"))
    if ssh_config is None:
        return f"qemu+ssh://{target}/system?command={quote(apart)}&no_tty=1"
    wrapper = ssh_config.with_name(ssh_config.name + ".ssh")
    _write_program(
        wrapper, f'#!/bin/sh\nexec {shlex.join([apart, "-F", str(ssh_config)])} -o BatchMode=yes "$@"\n'
    )
    return f"qemu+ssh://{target}/system?command={quote(str(wrapper))}&no_tty=1"


def _write_program(path: Path, text: str) -> None:
    """Put a program in place at once and only where it changes: another lab may be starting it right now."""
    if path.exists() and path.read_text() == text:
        return
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    part.write_text(text)
    part.chmod(0o700)
    part.replace(path)


def read_host_facts(
    where: str, shell: Shell, hypervisor: LibvirtHypervisor, store_dir: str, emulator: str | None
) -> HostFacts:
    """What planning needs to know. Raises HostError where a guest could not even be defined."""
    script = files("lab.adapters").joinpath("host_facts.sh").read_text()
    found = dict(
        line.split("=", 1)
        for line in shell.run(script, timeout_s=_FACTS_TIMEOUT_S).stdout.splitlines()
        if "=" in line
    )
    chosen = found.get("emulator") or emulator
    if chosen is None:
        raise HostError(
            f"{where}: no QEMU for {found.get('arch')} there", "install qemu-system-x86 on that host"
        )
    libvirt_version, qemu_version = hypervisor.versions()
    return HostFacts(
        where=where,
        pcpus=parse_cpulist(found["pcpus"]),
        memory_mib=int(found["memory_kib"]) // 1024,
        emulated="emulated" in found,
        arch=found["arch"],
        emulator=chosen,
        store_dir=store_dir,
        firmware=found.get("qboot") if "emulated" in found else None,
        kernel=found["kernel"],
        libvirt=libvirt_version,
        qemu=qemu_version,
        cores=parse_cpulists(found.get("cores", "")),
        numa_nodes=parse_cpulists(found.get("numa_nodes", "")),
        cpu=found.get("cpu", ""),
    )
