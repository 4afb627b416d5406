# SPDX-License-Identifier: GPL-2.0-only
"""The host VM as a Host: an ssh host whose outside the lab can see too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from lab.adapters.hosts import LibvirtHost, start_agent
from lab.adapters.hostvm import HostVm
from lab.measure.outside import HOST_VM
from lab.plan.facts import HostFacts
from lab.run.ports import Agent, HostProgram, Hypervisor, Shell


class NestedHost:
    """Everything of the ssh host inside, and the probe on its emulator's vCPU threads outside."""

    def __init__(self, inner: LibvirtHost, vm: HostVm, probe: Path) -> None:
        self._inner = inner
        self._vm = vm
        self._probe = probe
        self.facts: HostFacts = inner.facts
        self.shell: Shell = inner.shell
        self.hypervisor: Hypervisor = inner.hypervisor

    def program(self, name: HostProgram) -> str:
        """As the ssh host does."""
        return self._inner.program(name)

    def stage(self, source: Path) -> str:
        """As the ssh host does."""
        return self._inner.stage(source)

    def start_agent(self, stream: str, interval_ms: int) -> AbstractContextManager[Agent]:
        """As the ssh host does."""
        return self._inner.start_agent(stream, interval_ms)

    def console(self) -> bytes:
        """The host VM's console since the VM was started."""
        try:
            return self._vm.console_log.read_bytes()
        except OSError:
            return b""

    def guest_shell(self, address: str, key_file: Path, host_key: str) -> Shell:
        """As the ssh host does."""
        return self._inner.guest_shell(address, key_file, host_key)

    @contextmanager
    def start_outer(self, stream: Path, interval_ms: int) -> Iterator[Agent | None]:
        """The probe on this machine, watching the host VM: what its CPUs wait for is invisible inside."""
        argv = [str(self._probe), "host", "--out", str(stream), "--interval", str(interval_ms)]
        with start_agent(argv, "probe outside of the host VM") as agent:
            agent.send(f"guest {HOST_VM} {self._vm.pid_file} - - {self._vm.console_log}")
            yield agent

    def close(self) -> None:
        """Give the connections up; the VM stays."""
        self._inner.close()
