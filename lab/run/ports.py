# SPDX-License-Identifier: GPL-2.0-only
"""What carrying out a plan needs from the outside, as Protocols.

Every port has a real adapter in `lab.adapters` and a fake in `tests/fakehost.py`; one contract suite runs on both.
All raise only errors out of `lab.errors`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from lab.plan.facts import HostFacts


@dataclass(frozen=True)
class CommandResult:
    """What a command did: exit status, and its output as text with undecodable bytes replaced."""

    status: int
    stdout: str
    stderr: str


class Shell(Protocol):
    """A machine on which commands run and files are put: this one, a remote host, or a guest."""

    def run(self, command: str, *, timeout_s: float, check: bool = True) -> CommandResult:
        """Run a shell command to its end.

        With `check`, a non-zero status raises CommandFailed. Raises Lost when the machine went away or the
        deadline passed.
        """

    def put(self, source: Path, target: str, mode: int = 0o644) -> None:
        """Copy a file there; parents must exist."""

    def fetch(self, source: str, target: Path) -> None:
        """Copy a file from there. A missing source raises CommandFailed."""

    def close(self) -> None:
        """Give the connection up; safe to repeat."""


@dataclass(frozen=True)
class AgentEvent:
    """One line from an agent: `kind` is its first word, `words` the rest (images/probe/STREAM.md)."""

    kind: str
    words: tuple[str, ...]

    @property
    def text(self) -> str:
        """The words as one text."""
        return " ".join(self.words)


class Agent(Protocol):
    """A running `pvprobe host`: samples on its machine, watches guests, and speaks in lines."""

    def send(self, line: str) -> None:
        """Write one command line. Raises HostLost if the agent is gone."""

    def events(self, timeout_s: float) -> Iterator[AgentEvent]:
        """Events as they come, until `timeout_s` from now. Raises HostLost if the agent is gone."""

    def stop(self) -> None:
        """Ask it to end, wait for it, and end it by force if it does not; safe to repeat."""


class Hypervisor(Protocol):
    """A host's libvirt."""

    def create_network(self, xml: str) -> None:
        """Start a transient network."""

    def create_domain(self, xml: str) -> None:
        """Start a transient domain. Returns when its emulator runs."""

    def destroy_domain(self, name: str) -> bool:
        """End a domain; False if there is none of that name."""

    def destroy_network(self, name: str) -> bool:
        """End a network; False if there is none of that name."""

    def domains(self) -> Mapping[str, str]:
        """Running domains that carry a lab id in their metadata: name to lab id."""

    def networks(self) -> Mapping[str, str]:
        """Active networks that carry a lab id in their metadata: name to lab id."""

    def kvm_counters(self, domain: str) -> Mapping[int, Mapping[str, int]]:
        """Cumulative counters by vCPU and name, libvirt's and KVM's own where it gives any."""

    def vcpu_pins(self, domain: str) -> Mapping[int, tuple[int, ...]]:
        """Live affinity by vCPU."""

    def pin_vcpu(self, domain: str, vcpu: int, pcpus: Sequence[int]) -> None:
        """Let a vCPU run on these pCPUs only, from now on."""

    def open_gdb(self, domain: str) -> int:
        """Let QEMU's gdb stub listen for a debugger of a running domain; its port on the host's loopback."""

    def dump_memory(self, domain: str, path: str, *, compressed: bool) -> None:
        """Write memory and registers of a running domain into a new file on the host: an ELF core, or compressed
        as kdump does it. The domain stands still meanwhile."""

    def close(self) -> None:
        """Give the connection up; safe to repeat."""


#: The lab's own programs that are run by commands on hosts (images/probe).
HostProgram = Literal["pvknob", "pvspin", "pvtrace"]


class Host(Protocol):
    """A host that runs guests."""

    facts: HostFacts

    @property
    def shell(self) -> Shell:
        """Commands and files on the host."""

    @property
    def hypervisor(self) -> Hypervisor:
        """Its libvirt."""

    def program(self, name: HostProgram) -> str:
        """The path of one of the lab's own programs on the host, put there if need be."""

    def stage(self, source: Path) -> str:
        """The path under which the host's QEMU can read the local file `source`, copied if need be.

        Content-addressed: staging the same bytes twice copies once.
        """

    def start_agent(self, stream: str, interval_ms: int) -> AbstractContextManager[Agent]:
        """Start the probe on the host, sampling into the file `stream` there."""

    def console(self) -> bytes:
        """What the host's own console said so far; empty where the lab does not see it."""

    def guest_shell(self, address: str, key_file: Path, host_key: str) -> Shell:
        """A shell inside the guest at `address`; `host_key` is the public key it must present."""

    def start_outer(self, stream: Path, interval_ms: int) -> AbstractContextManager[Agent | None]:
        """Start the probe outside of the host, watching the host's own vCPU threads; None where there is no
        outside that the lab can see."""


@dataclass(frozen=True)
class Launch:
    """Local files that guests are made of: root image, kernels by name, the init program, by kernel the archive of
    its modules, for those that have modules, further root images by name, for nodes that have another, by kernel
    the archive of its selftests for nodes that run them. `keys` say which entries of the cache they are: under
    `kernels` and `images`, by name."""

    root_image: Path
    kernels: Mapping[str, Path]
    init_binary: Path
    modules: Mapping[str, Path] = field(default_factory=dict)
    images: Mapping[str, Path] = field(default_factory=dict)
    selftests: Mapping[str, Path] = field(default_factory=dict)
    keys: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


class Narrator(Protocol):
    """Is told what happens, for people to read; never changes what happens."""

    def say(self, text: str) -> None:
        """Something happened."""
