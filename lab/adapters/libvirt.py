# SPDX-License-Identifier: GPL-2.0-only
"""libvirt: the Hypervisor port. Every libvirtError is translated here, once."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import libvirt
import libvirt_qemu

from lab.adapters.deadline import bounded, within
from lab.errors import HostError, HostLost, LabFailure
from lab.plan.domainxml import METADATA_URI

#: What libvirt's client says when the other end is gone; it has no error code of its own for it.
_GONE = re.compile(
    r"client socket is closed|Cannot (recv|read|write|send) data|End of file while reading|Broken pipe"
    r"|Connection reset|keepalive"
)

#: A host that hangs answers never; one that is emulated and loaded may take half a minute for a domain.
_ANSWER_S = 60
_START_S = 180
_DUMP_S = 900

libvirt.registerErrorHandler(lambda _context, _error: None, None)


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn libvirt's errors into the lab's: HostLost where the connection is gone, LabFailure otherwise."""
    try:
        yield
    except libvirt.libvirtError as error:
        text = str(error)
        if _GONE.search(text):
            raise HostLost(f"{what}: libvirt's connection is gone: {text}") from None
        raise LabFailure(f"{what}: {text}") from None


def _lab_id(xml: str) -> str | None:
    owner = ElementTree.fromstring(xml).find(f"./metadata/{{{METADATA_URI}}}lab")
    return None if owner is None else owner.get("id")


class LibvirtHypervisor:
    """A connection to one libvirt. Calls may come from several threads at once."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        try:
            self._connection = within(_ANSWER_S, f"libvirt at {uri}: connecting", lambda: libvirt.open(uri))
        except HostLost as error:
            raise HostError(
                error.message,
                "a host VM that hangs is ended by `lab host down`",
            ) from None
        except libvirt.libvirtError as error:
            raise HostError(
                f"libvirt at {uri}: cannot be reached: {error}",
                "`lab doctor` says what is missing; `make setup` installs and starts libvirt",
            ) from None

    @bounded(_ANSWER_S)
    def versions(self) -> tuple[str, str]:
        """libvirt's and the default QEMU's versions as text; QEMU's is empty where libvirt knows none."""
        with translated("asking libvirt for its version"):
            library = _dotted(self._connection.getLibVersion())
        try:
            return library, _dotted(self._connection.getVersion())
        except libvirt.libvirtError:
            return library, ""

    @bounded(_ANSWER_S)
    def create_network(self, xml: str) -> None:
        """Start a transient network."""
        with translated("starting a network"):
            self._connection.networkCreateXML(xml)

    @bounded(_START_S)
    def create_domain(self, xml: str) -> None:
        """Start a transient domain that libvirt ends by itself never: ownership is the lab's."""
        with translated("starting a domain"):
            self._connection.createXML(xml, 0)

    @bounded(_ANSWER_S)
    def destroy_domain(self, name: str) -> bool:
        """End a domain."""
        return self._end("domain", name, lambda: self._connection.lookupByName(name).destroy())

    @bounded(_ANSWER_S)
    def destroy_network(self, name: str) -> bool:
        """End a network."""
        return self._end("network", name, lambda: self._connection.networkLookupByName(name).destroy())

    def _end(self, kind: str, name: str, end: Any) -> bool:
        with translated(f"ending {kind} {name}"):
            try:
                end()
            except libvirt.libvirtError as error:
                missing = (
                    libvirt.VIR_ERR_NO_DOMAIN,
                    libvirt.VIR_ERR_NO_NETWORK,
                    libvirt.VIR_ERR_OPERATION_INVALID,
                )
                if error.get_error_code() in missing:
                    return False
                raise
        return True

    @bounded(_ANSWER_S)
    def domains(self) -> Mapping[str, str]:
        """Running domains that carry a lab id."""
        with translated("listing domains"):
            found = self._connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE)
        return dict(_owned(found))

    @bounded(_ANSWER_S)
    def networks(self) -> Mapping[str, str]:
        """Active networks that carry a lab id."""
        with translated("listing networks"):
            found = self._connection.listAllNetworks(libvirt.VIR_CONNECT_LIST_NETWORKS_ACTIVE)
        return dict(_owned(found))

    @bounded(_ANSWER_S)
    def kvm_counters(self, domain: str) -> Mapping[int, Mapping[str, int]]:
        """KVM's own counters, which libvirt reads from the kernel's binary statistics (`virsh domstats --vcpu`),
        and what it reads of the threads itself: time, wait and delay, in ns."""
        with translated(f"reading statistics of {domain}"):
            found = self._connection.lookupByName(domain)
            answers = self._connection.domainListGetStats([found], libvirt.VIR_DOMAIN_STATS_VCPU)
        if not answers:  # libvirt leaves out what ended since it was found
            raise LabFailure(f"reading statistics of {domain}: it has just ended")
        ((_, stats),) = answers
        return vcpu_counters(stats)

    @bounded(_ANSWER_S)
    def vcpu_pins(self, domain: str) -> Mapping[int, tuple[int, ...]]:
        """Live affinity of every vCPU."""
        with translated(f"reading the pinning of {domain}"):
            pins = self._connection.lookupByName(domain).vcpuPinInfo(libvirt.VIR_DOMAIN_AFFECT_LIVE)
        return {vcpu: tuple(pcpu for pcpu, on in enumerate(mask) if on) for vcpu, mask in enumerate(pins)}

    @bounded(_ANSWER_S)
    def pin_vcpu(self, domain: str, vcpu: int, pcpus: Sequence[int]) -> None:
        """Change the affinity of a running vCPU."""
        with translated(f"pinning vCPU {vcpu} of {domain}"):
            host_pcpus = self._connection.getCPUMap()[0]
            mask = tuple(pcpu in pcpus for pcpu in range(host_pcpus))
            self._connection.lookupByName(domain).pinVcpu(vcpu, mask)  # of the running domain

    @bounded(_ANSWER_S)
    def open_gdb(self, domain: str) -> int:
        """QEMU chooses the port, and tells it among its character devices (label ``gdb``)."""
        port = self._gdb_port(domain)
        if port is None:
            command = {"command-line": "gdbserver tcp:127.0.0.1:0"}
            said = str(self.monitor(domain, "human-monitor-command", **command)).strip()
            port = self._gdb_port(domain)
            if port is None:
                raise LabFailure(f"domain {domain}: QEMU's gdb stub does not listen: {said}")
        return port

    def _gdb_port(self, domain: str) -> int | None:
        devices = {one["label"]: str(one["filename"]) for one in self.monitor(domain, "query-chardev")}
        found = re.search(r"tcp:127\.0\.0\.1:(\d+)", devices.get("gdb", ""))
        return int(found[1]) if found else None

    @bounded(_DUMP_S)
    def dump_memory(self, domain: str, path: str, *, compressed: bool) -> None:
        """libvirt's core dump of memory only (`virsh dump --memory-only`), while the domain is paused."""
        form = "KDUMP_ZLIB" if compressed else "RAW"
        with translated(f"dumping {domain} into {path}"):
            self._connection.lookupByName(domain).coreDumpWithFormat(
                path, getattr(libvirt, f"VIR_DOMAIN_CORE_DUMP_FORMAT_{form}"), libvirt.VIR_DUMP_MEMORY_ONLY
            )

    @bounded(_ANSWER_S)
    def monitor(self, name: str, command: str, **arguments: Any) -> Any:
        """Give QEMU's own monitor a command (QEMU's QMP reference) and return its answer."""
        request = json.dumps({"execute": command, "arguments": arguments})
        with translated(f"domain {name}: monitor command {command}"):
            domain = self._connection.lookupByName(name)
            answer = json.loads(libvirt_qemu.qemuMonitorCommand(domain, request, 0))
        if "error" in answer:
            raise LabFailure(f"domain {name}: monitor command {command}: {answer['error'].get('desc')}")
        return answer["return"]

    def close(self) -> None:
        """Give the connection up."""
        with suppress(libvirt.libvirtError, HostLost):
            within(_ANSWER_S, f"libvirt at {self.uri}: closing", self._connection.close)


def _owned(objects: Any) -> Iterator[tuple[str, str]]:
    for found in objects:
        try:
            lab_id = _lab_id(found.XMLDesc(0))
        except libvirt.libvirtError:  # it ended between the listing and the question
            continue
        if lab_id is not None:
            yield found.name(), lab_id


def _dotted(number: int) -> str:
    return f"{number // 1_000_000}.{number // 1_000 % 1_000}.{number % 1_000}"


def vcpu_counters(stats: Mapping[str, Any]) -> dict[int, dict[str, int]]:
    """Those of a domain's statistics that count something of a vCPU, by vCPU and name."""
    counters: dict[int, dict[str, int]] = {}
    for key, value in stats.items():
        match = re.fullmatch(r"vcpu\.(\d+)\.(?:(\w+)\.sum|(time|wait|delay))", key)
        if match:
            counters.setdefault(int(match[1]), {})[match[2] or match[3]] = int(value)
    return counters
