# SPDX-License-Identifier: GPL-2.0-only
"""Facts about a host that was not asked: what a dry run plans with, and the shape of the lab's own host VM."""

from __future__ import annotations

from collections.abc import Iterable

from lab.plan.facts import HostFacts
from lab.units import format_cpulist

#: pCPUs that a host VM has beyond this machine's, for emulator and I/O threads.
HOUSEKEEPING_PCPUS = 1
HOST_VM_MEMORY_MIB = 3072
#: pCPUs of a remote host about which the topology says nothing.
_REMOTE_PCPUS = 4


def host_vm_pcpu_count(online_pcpus: int) -> int:
    """pCPUs of a host VM on a machine with so many: as many for contention, and some for housekeeping."""
    return online_pcpus + HOUSEKEEPING_PCPUS


def assumed_facts(where: str, online_pcpus: Iterable[int], named_pcpus: Iterable[int]) -> HostFacts:
    """A guess, made without asking anybody, at the host that `where` (never auto) names.

    `online_pcpus` are this machine's, `named_pcpus` those that the topology names: a remote host is taken to
    have at least them. Memory is 0 where it is not known.
    """
    online = tuple(sorted(online_pcpus))
    if where == "nested":
        pcpus = tuple(range(host_vm_pcpu_count(len(online))))
        return HostFacts(where, pcpus, HOST_VM_MEMORY_MIB, emulated=True)
    if where == "local":
        return HostFacts(where, online, 0, emulated=False)
    named = set(named_pcpus)
    pcpus = tuple(range(max(named) + 1)) if named else tuple(range(_REMOTE_PCPUS))
    return HostFacts(where, pcpus, 0, emulated=False)


def render_assumption(facts: HostFacts) -> str:
    """What was assumed, in a sentence."""
    kind = {"local": "this machine", "nested": "the host VM"}.get(facts.where, facts.where)
    emulated = ", emulated" if facts.emulated else ""
    return f"{kind} was not asked; assumed: pCPUs {format_cpulist(facts.pcpus)}{emulated}"
