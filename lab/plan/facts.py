# SPDX-License-Identifier: GPL-2.0-only
"""What deciding needs to know about a host. Observed elsewhere, plain data here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HostFacts:
    """A host as seen by its adapter.

    `where` is what was resolved: local, nested or ssh://...; never auto. `pcpus` are the online ones.
    `emulated` says that the host is itself emulated (TCG), so that guests boot slowly and their kernels
    should not patch themselves at run time. `firmware` is a ROM for guests that is quicker than QEMU's default
    one; None where the host has none, or where it does not matter. `cores` are the pCPUs of each core (SMT
    siblings stand together), `numa_nodes` those of each NUMA node, both in order of their first pCPU; empty where
    that is not known. `cpu` is the processor's name as its kernel has it, "" where it has none.
    """

    where: str
    pcpus: tuple[int, ...]
    memory_mib: int
    emulated: bool
    arch: str = "x86_64"
    emulator: str = "/usr/bin/qemu-system-x86_64"
    store_dir: str = "/var/cache/paravirt-lab"
    firmware: str | None = None
    kernel: str = ""
    libvirt: str = ""
    qemu: str = ""
    cores: tuple[tuple[int, ...], ...] = ()
    numa_nodes: tuple[tuple[int, ...], ...] = ()
    cpu: str = ""
