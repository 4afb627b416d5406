# SPDX-License-Identifier: GPL-2.0-only
"""What the user asked for: a topology that can be planned, and where it is to run."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from lab.adapters.kvmprobe import read_verdict, refused_at_once
from lab.artifacts.catalogue import read_kernel_catalogue
from lab.cli.desk import Desk
from lab.errors import InputError
from lab.places import Places
from lab.plan.assume import assumed_facts
from lab.plan.decide import plan_lab
from lab.plan.facts import HostFacts
from lab.plan.labplan import LabPlan
from lab.plan.placement import explicit_pcpus
from lab.topology.decode import read_topology
from lab.topology.model import Topology
from lab.topology.spec import HostSpec
from lab.units import parse_cpulist, parse_cpulists

#: The lab id of a plan that nobody carries out.
PLAN_LAB_ID = "plan"


def read_asked(path: Path, places: Places) -> Topology:
    """The topology in `path`; that the patches and files it names exist is checked too, before anything starts."""
    topology = read_topology(path)
    read_kernel_catalogue(topology, places.images_dir)
    return topology


def asked_where(host: str | None, topology: Topology) -> str:
    """`--host` if it was given, else what the topology says; may be `auto`."""
    if host is None:
        return topology.host.where
    try:
        return HostSpec(where=host).where
    except ValidationError:
        raise InputError(
            f"--host {host!r}: expected auto, local, nested or ssh://user@host", "`lab doctor` explains auto"
        ) from None


@dataclass(frozen=True)
class Guess:
    """Where a topology would run, and why that was taken, as far as it can be told without asking anybody."""

    where: str
    reason: str


def guess_where(where: str, places: Places) -> Guess:
    """`auto` decided by what is known already about this machine's KVM; nothing is booted for it."""
    if where != "auto":
        return Guess(where, f"{where} was asked for")
    verdict = refused_at_once() or read_verdict(places.kvm_verdict)
    if verdict is None:
        return Guess(
            "nested", "this machine's KVM was not probed since it booted (`lab doctor --probe` does)"
        )
    return Guess("local" if verdict.usable else "nested", verdict.reason)


def guess_facts(where: str, topology: Topology) -> HostFacts:
    """Facts about the host `where` (never auto) without contacting it."""
    named = explicit_pcpus(topology)
    named.update(topology.host.pcpus or (), topology.host.housekeeping or ())
    if where != "local":
        return assumed_facts(where, range(os.cpu_count() or 1), named)
    here = assumed_facts(where, _online_pcpus(), named)
    cores, numa_nodes = (
        _groups("cpu/cpu[0-9]*/topology/thread_siblings_list"),
        _groups("node/node[0-9]*/cpulist"),
    )
    return replace(here, cores=cores, numa_nodes=numa_nodes)


def _groups(pattern: str) -> tuple[tuple[int, ...], ...]:
    """This machine's groups of pCPUs, each told by a file; none where its kernel tells none."""
    return parse_cpulists(" ".join(path.read_text() for path in Path("/sys/devices/system").glob(pattern)))


def _online_pcpus() -> tuple[int, ...]:
    """This machine's, not only those that this process may use: libvirtd starts the guests."""
    return parse_cpulist(Path("/sys/devices/system/cpu/online").read_text())


def plan_by_guess(topology: Topology, where: str, places: Places) -> LabPlan:
    """A plan for a host that was not asked. Raises HostError where even the guess lacks pCPUs."""
    catalogue = read_kernel_catalogue(topology, places.images_dir)
    return plan_lab(topology, guess_facts(where, topology), PLAN_LAB_ID, catalogue)


def plan_for_building(desk: Desk, topology: Topology, host: str | None) -> LabPlan:
    """A plan good enough to know what to build. The host VM is not started for it: it is always the same."""
    asked = asked_where(host, topology)
    where = desk.wiring.resolve_where(asked)
    if where == "nested":
        return plan_by_guess(topology, where, desk.places)
    with desk.wiring.open_host(where) as opened:
        return desk.wiring.plan(topology, opened.facts)
