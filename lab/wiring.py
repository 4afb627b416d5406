# SPDX-License-Identifier: GPL-2.0-only
"""Builds the real adapters for the edges: which host, which files, which directories."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from pathlib import Path

from lab.adapters.commands import ProcessCommands
from lab.adapters.hosts import LibvirtHost, Programs, open_local_host, open_ssh_host, staged_path
from lab.adapters.hostvm import HostVm, HostVmParts
from lab.adapters.keys import make_key_pair
from lab.adapters.kvmprobe import KvmVerdict, ProbeGuest, probe_kvm, refused_at_once
from lab.adapters.libvirt import LibvirtHypervisor
from lab.adapters.nested import NestedHost
from lab.artifacts.bench import Bench
from lab.artifacts.builtonly import BuiltOnly
from lab.artifacts.cache import Cache
from lab.artifacts.catalogue import read_kernel_catalogue
from lab.artifacts.images import GUEST, HOST, ensure_image
from lab.artifacts.kernels import ensure_kernel, host_kernel_plan
from lab.artifacts.ports import Progress
from lab.artifacts.probe import ensure_probe
from lab.artifacts.selftests import ensure_selftests
from lab.artifacts.toolbox import ensure_toolbox
from lab.artifacts.workshop import Workshop
from lab.errors import HostError, InputError
from lab.loads.model import SELFTEST_IMAGE
from lab.places import Places
from lab.plan.assume import HOST_VM_MEMORY_MIB, host_vm_pcpu_count
from lab.plan.decide import plan_lab
from lab.plan.facts import HostFacts
from lab.plan.labplan import LabPlan
from lab.run.kernelfiles import booted_kernels
from lab.run.lab import Surroundings
from lab.run.ports import Host, Launch, Narrator
from lab.run.records import LabRecord, LabRecords, new_lab_id
from lab.topology.model import Topology

_REMOTE_STORE = "/var/lib/paravirt-lab"


class Wiring:
    """Everything real, made when it is first needed."""

    def __init__(self, places: Places, narrator: Narrator, progress: Progress) -> None:
        self.places = places
        self.narrator = narrator
        self.workshop = Workshop(
            Cache(places.cache_dir, progress), ProcessCommands(), progress, places.images_dir
        )
        self.records = LabRecords(places.state_dir)
        places.make_passable()
        self.host_vm = HostVm(places.host_vm, narrator)

    def only_built(self) -> Wiring:
        """The same, but nothing is ever built: whatever needs that raises NotBuiltError."""
        other = copy(self)
        cache = BuiltOnly(self.places.cache_dir, self.workshop.progress)
        other.workshop = replace(self.workshop, cache=cache)
        return other

    def building_on(self, bench: Bench) -> Wiring:
        """The same, but the kernels that `bench` serves are built there."""
        other = copy(self)
        other.workshop = replace(self.workshop, bench=bench)
        return other

    # hosts

    def resolve_where(self, where: str) -> str:
        """`auto` decided, everything else as it is."""
        if where != "auto":
            return where
        return "local" if self.kvm_verdict().usable else "nested"

    def kvm_verdict(self) -> KvmVerdict:
        """Whether this machine's KVM runs the lab's guest kernel; booted once per boot of this machine."""
        return refused_at_once() or probe_kvm(self._probe_guest(), self.places.kvm_verdict)

    def _probe_guest(self) -> ProbeGuest:
        kernel = ensure_kernel(self.workshop, host_kernel_plan(self.places.images_dir))
        return ProbeGuest(
            emulator=self._emulator(),
            kernel=kernel.boot_image,
            root_image=ensure_image(self.workshop, GUEST).image,
            init_binary=ensure_probe(self.workshop).init,
        )

    def _emulator(self) -> str:
        installed = shutil.which("qemu-system-x86_64")
        return installed or str(ensure_toolbox(self.workshop).emulator)

    @contextmanager
    def open_host(self, where: str) -> Iterator[Host]:
        """A host that is up; a host VM is started if need be and stays up."""
        host = self._open(self.resolve_where(where))
        try:
            yield host
        finally:
            host.close()

    def _open(self, where: str) -> LibvirtHost | NestedHost:
        programs = self._programs()
        if where == "local":
            return open_local_host(where, programs, self.places.local_store, self._emulator())
        if where == "nested":
            return self._start_host_vm(programs)
        if where.startswith("ssh://"):
            config = os.environ.get("LAB_SSH_CONFIG")
            return open_ssh_host(
                where, where.removeprefix("ssh://"), Path(config) if config else None, programs, _REMOTE_STORE
            )
        raise InputError(f"host {where!r}: expected auto, local, nested or ssh://user@host")

    def _programs(self) -> Programs:
        built = ensure_probe(self.workshop)
        return Programs(built.pvprobe, built.pvknob, built.pvspin, built.pvtrace)

    def probe_file(self) -> Path:
        """The probe, on this machine."""
        return ensure_probe(self.workshop).pvprobe

    def staged_probe(self, record: LabRecord) -> str:
        """The probe on the host of a record, without asking that: a lab has put it there, unless it was made by
        another version."""
        probe = self.probe_file()
        return str(probe) if record.where == "local" else staged_path(_REMOTE_STORE, probe)

    def _start_host_vm(self, programs: Programs) -> NestedHost:
        parts = self.host_vm_parts()
        self.host_vm.ensure_up(parts)
        try:
            return self._reach_host_vm(programs)
        except HostError as error:
            self.narrator.say(f"the host VM runs but cannot be reached ({error.message}): starting it again")
            self.host_vm.restart(parts)
            return self._reach_host_vm(programs)

    def _reach_host_vm(self, programs: Programs) -> NestedHost:
        inner = open_ssh_host("nested", "lab-host", self.host_vm.ssh_config, programs, _REMOTE_STORE)
        return NestedHost(inner, self.host_vm, programs.probe)

    @contextmanager
    def reopen_host(self, record: LabRecord) -> Iterator[Host | None]:
        """The host of a record, without starting anything; None where a host VM does not run any more."""
        if record.where == "nested" and not self.host_vm.is_running():
            yield None
            return
        nested = record.where == "nested"
        host = self._reach_host_vm(self._programs()) if nested else self._open(record.where)
        try:
            yield host
        finally:
            host.close()

    def local_libvirt_versions(self) -> tuple[str, str]:
        """Versions of this machine's libvirt and its QEMU. Raises HostError where libvirt does not answer."""
        libvirt = LibvirtHypervisor("qemu:///system")
        try:
            return libvirt.versions()
        finally:
            libvirt.close()

    def host_vm_parts(self) -> HostVmParts:
        """What the host VM is made of, everything built that is missing."""
        probe = ensure_probe(self.workshop)
        kernel = ensure_kernel(self.workshop, host_kernel_plan(self.places.images_dir))
        return HostVmParts(
            emulator=str(ensure_toolbox(self.workshop).emulator),
            kernel=str(kernel.boot_image),
            image=str(ensure_image(self.workshop, HOST).image),
            init_binary=str(probe.init),
            probe=str(probe.pvprobe),
            accelerator="qemu",
            vcpus=host_vm_pcpu_count(os.cpu_count() or 1),
            memory_mib=HOST_VM_MEMORY_MIB,
        )

    # plans and launches

    def plan(self, topology: Topology, facts: HostFacts) -> LabPlan:
        """The plan of a topology on a host, with a new lab id."""
        taken = [record.lab_id for record in self.records.all()]
        catalogue = read_kernel_catalogue(topology, self.places.images_dir)
        return plan_lab(topology, facts, new_lab_id(taken), catalogue)

    def launch(self, plan: LabPlan) -> Launch:
        """The files that guests are made of, built if need be."""
        kernels = {kernel.name: ensure_kernel(self.workshop, kernel) for kernel in plan.kernels}
        images = {
            name: ensure_image(self.workshop, name)
            for name in sorted({GUEST, *(one.image for one in plan.nodes)})
        }
        return Launch(
            root_image=images[GUEST].image,
            kernels={name: built.boot_image for name, built in kernels.items()},
            init_binary=ensure_probe(self.workshop).init,
            modules={name: built.modules for name, built in kernels.items() if built.modules},
            images={name: made.image for name, made in images.items() if name != GUEST},
            selftests=self._selftests(plan),
            keys={
                "kernels": {name: built.key for name, built in kernels.items()},
                "images": {name: made.key for name, made in images.items()},
            },
        )

    def _selftests(self, plan: LabPlan) -> dict[str, Path]:
        """Of the kernels that nodes with selftests boot."""
        wanted = {name for node, name in booted_kernels(plan) if node.image == SELFTEST_IMAGE}
        return {one.name: ensure_selftests(self.workshop, one) for one in plan.kernels if one.name in wanted}

    def surroundings(self, launch: Launch) -> Surroundings:
        """What making a lab needs besides a plan."""
        return Surroundings(self.records, self.places.state_dir, launch, make_keys, self.narrator)


def make_keys() -> tuple[bytes, str]:
    """A new key pair: the private key file's bytes, the public key's line."""
    pair = make_key_pair()
    return pair.private, pair.public
