# SPDX-License-Identifier: GPL-2.0-only
"""A recorded scenario on another host: what it needs, whether the host has it, and the topology to plan there.

Everything is checked before anything is refused, so that all reasons are told at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lab.errors import HostError, InputError
from lab.plan.facts import HostFacts
from lab.plan.labplan import LabPlan
from lab.plan.placement import explicit_pcpus
from lab.plan.remap import PcpuNeeds, Refused, Remapping, remap_pcpus
from lab.topology.model import Topology
from lab.topology.moved import Move, move_topology
from lab.units import format_cpulist

#: From this share of a host's memory on, guests may push it into reclaim.
_TIGHT_MEMORY = 0.8


@dataclass(frozen=True)
class Check:
    """One thing that a scenario needs. `problem` says why this host cannot have it, `note` what is another here;
    both empty where nothing is to be said."""

    what: str
    needed: str
    here: str
    problem: str = ""
    note: str = ""


@dataclass(frozen=True)
class Fitting:
    """Whether a scenario fits a host; without a problem there is a `remapping`."""

    checks: tuple[Check, ...]
    remapping: Remapping | None

    @property
    def problems(self) -> tuple[str, ...]:
        """Why it does not fit."""
        return tuple(f"{one.what}: {one.problem}" for one in self.checks if one.problem)

    def require(self, where: str) -> Remapping:
        """The remapping. Raises HostError with every problem."""
        if self.remapping is None or self.problems:
            reasons = "".join(f"\n  {problem}" for problem in self.problems)
            raise HostError(
                f"host {where} is not fit for this scenario:{reasons}",
                "`--host` chooses another host; topology.yaml in the bundle says what is needed",
            )
        return self.remapping


def fit_scenario(topology: Topology, recorded: LabPlan, here: HostFacts, no_kvm: str = "") -> Fitting:
    """Check the host `here` against what `recorded`, a plan of `topology`, needed. `no_kvm` says why its KVM does
    not work, where that is known.

    Raises InputError where the plan is not one of the topology.
    """
    _check_plan(topology, recorded)
    needs = pcpu_needs(topology, recorded)
    found = remap_pcpus(needs, recorded.host, here)
    spare = ""
    if isinstance(found, Refused) and _housekeeping(recorded):
        needs = pcpu_needs(topology, recorded, housekeeping=False)
        found = remap_pcpus(needs, recorded.host, here)
        spare = "no pCPU is left for housekeeping: emulator threads run on the contended ones"
    checks = (
        _check_pcpus(recorded, here, found, spare),
        _check_layout("SMT", "a guest is pinned onto the siblings of a core", needs.smt, here.cores),
        _check_layout("NUMA", "a guest is split over NUMA nodes", needs.numa, here.numa_nodes),
        _check_memory(recorded, here),
        _check_arch(recorded, here),
        _check_accelerator(recorded, here, no_kvm),
    )
    return Fitting(checks, found if isinstance(found, Remapping) else None)


def pcpu_needs(topology: Topology, recorded: LabPlan, *, housekeeping: bool = True) -> PcpuNeeds:
    """The pCPUs that the scenario used where it was recorded."""
    used = {*recorded.pcpus, *explicit_pcpus(topology)}
    used.update(pcpu for node in recorded.nodes for vcpu in node.vcpus for pcpu in vcpu.pcpus)
    if housekeeping:
        used.update(recorded.housekeeping)
    pinnings = {node.pinning for node in topology.nodes if isinstance(node.pinning, str)}
    return PcpuNeeds(tuple(sorted(used)), "smt-stack" in pinnings, "numa-split" in pinnings)


def _housekeeping(recorded: LabPlan) -> tuple[int, ...]:
    """Of its own; empty where that was done on the contended pCPUs."""
    return tuple(sorted(set(recorded.housekeeping) - set(recorded.pcpus)))


def _check_plan(topology: Topology, recorded: LabPlan) -> None:
    asked = {node.name: node.vcpus for node in topology.nodes}
    planned = {node.name: len(node.vcpus) for node in recorded.nodes}
    if asked != planned or not recorded.pcpus:
        raise InputError(
            f"{topology.path}: the recorded plan is of another topology: it has the guests "
            f"{', '.join(sorted(planned)) or 'none'}, the topology has {', '.join(sorted(asked))}"
        )


# ---- the checks


def _check_pcpus(recorded: LabPlan, here: HostFacts, found: Remapping | Refused, spare: str) -> Check:
    kept = _housekeeping(recorded)
    needed = f"{len(recorded.pcpus)} ({format_cpulist(recorded.pcpus)})"
    needed += f", for housekeeping {format_cpulist(kept)}" if kept else ""
    has = f"{len(here.pcpus)} ({format_cpulist(here.pcpus)})"
    if isinstance(found, Refused):
        return Check("pCPUs", needed, has, problem=found.reason)
    moved = "" if found.is_identity else render_remapping(found)
    return Check("pCPUs", needed, has, note="; ".join(filter(None, (moved, spare, *found.lost))))


def render_remapping(remapping: Remapping) -> str:
    """``remapped 2 -> 0, 3 -> 4``; those that keep their numbers are left out."""
    moved = ((there, here) for there, here in remapping.pcpus.items() if there != here)
    return "remapped " + ", ".join(f"{there} -> {here}" for there, here in moved)


def _check_layout(what: str, why: str, needed: bool, groups: tuple[tuple[int, ...], ...]) -> Check:
    shown = " ".join(map(format_cpulist, groups)) if len(groups) <= 8 else f"{len(groups)} groups"
    return Check(what, why if needed else "not needed", shown or "not known")


def _check_memory(recorded: LabPlan, here: HostFacts) -> Check:
    wanted = sum(node.memory_mib for node in recorded.nodes)
    has = f"{here.memory_mib} MiB" if here.memory_mib else "not known"
    problem = note = ""
    if here.memory_mib and wanted > here.memory_mib:
        problem = f"the guests have {wanted} MiB together, and the host {here.memory_mib} MiB"
    elif here.memory_mib and wanted > _TIGHT_MEMORY * here.memory_mib:
        note = "hardly more than the guests have: the host may have to reclaim"
    return Check("memory", f"{wanted} MiB for {len(recorded.nodes)} guests", has, problem, note)


def _check_arch(recorded: LabPlan, here: HostFacts) -> Check:
    there = recorded.host.arch
    problem = "" if there == here.arch else f"recorded on {there}, and this host is {here.arch}"
    return Check("architecture", there, here.arch, problem)


def _check_accelerator(recorded: LabPlan, here: HostFacts, no_kvm: str) -> Check:
    note = "" if recorded.host.emulated == here.emulated else _tell_emulated(here.emulated)
    return Check("accelerator", "KVM", "none" if no_kvm else _accelerator(here), no_kvm, note)


def _tell_emulated(emulated: bool) -> str:
    if emulated:
        return "this host is emulated: steal can be compared, work per second and latencies cannot"
    return "the reporter's host was emulated: steal can be compared, work per second and latencies cannot"


def _accelerator(facts: HostFacts) -> str:
    return "KVM of an emulated host" if facts.emulated else "KVM"


# ---- the topology to plan


def replay_topology(
    topology: Topology,
    recorded: LabPlan,
    remapping: Remapping,
    where: str,
    kernels: Mapping[str, Mapping[str, Any]] | None = None,
) -> str:
    """The text of `topology` for the host `where`, pinned as `recorded` was."""
    move = Move(
        where=where,
        pcpus=remapping.pcpus,
        contended=remapping.of(recorded.pcpus),
        housekeeping=remapping.of(_kept(recorded, remapping)),
        pins={node.name: [remapping.of(vcpu.pcpus) for vcpu in node.vcpus] for node in recorded.nodes},
        kernels=kernels or {},
    )
    return move_topology(topology.text, move, f"Made by `lab repro` from the bundle of {recorded.name}.")


def _kept(recorded: LabPlan, remapping: Remapping) -> Iterator[int]:
    return (pcpu for pcpu in _housekeeping(recorded) if pcpu in remapping.pcpus)


def replay_facts(here: HostFacts, remapping: Remapping) -> HostFacts:
    """The host as planning is to see it: with no more pCPUs than the scenario had, so that none is taken for
    housekeeping that it did not have."""
    pcpus = set(remapping.pcpus.values())

    def within(groups: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
        inside = (tuple(pcpu for pcpu in group if pcpu in pcpus) for group in groups)
        return tuple(group for group in inside if group)

    return replace(
        here, pcpus=tuple(sorted(pcpus)), cores=within(here.cores), numa_nodes=within(here.numa_nodes)
    )
