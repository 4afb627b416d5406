# SPDX-License-Identifier: GPL-2.0-only
"""Short ways to a topology and a plan."""

from __future__ import annotations

from pathlib import Path

from lab.plan.decide import plan_lab
from lab.plan.facts import HostFacts
from lab.plan.kernels import KernelCatalogue, PatchSet
from lab.plan.labplan import LabPlan
from lab.topology.decode import decode_topology
from lab.topology.model import Topology

HEAD = """\
version: 1
name: unit
kernels:
  plain: {source: {debian: "6.12"}}
"""


def topology(text: str, head: str = HEAD) -> Topology:
    """The topology of `head` and `text`, as if it stood in /lab/topologies."""
    return decode_topology(head + text, Path("/lab/topologies/unit.yaml"))


def facts(pcpus: int = 4, where: str = "local", emulated: bool = False) -> HostFacts:
    return HostFacts(where=where, pcpus=tuple(range(pcpus)), memory_mib=8192, emulated=emulated)


def catalogue(asked: Topology) -> KernelCatalogue:
    """Every patch entry is a series of one patch in a fixed place."""
    entries = {entry for kernel in asked.kernels.values() for entry in kernel.patches}
    return KernelCatalogue(
        directory=Path("/lab/topologies"),
        patch_sets={entry: PatchSet((f"/lab/images/kernels/{entry}/0001-first.patch",)) for entry in entries},
        base_fragments=("/lab/images/kernels/configs/base.config",),
        emulated_fragments=("/lab/images/kernels/configs/emulated.config",),
        native_fragments=("/lab/images/kernels/configs/native.config",),
    )


def plan(text: str, host: HostFacts | None = None, lab_id: str = "unit0") -> LabPlan:
    asked = topology(text)
    return plan_lab(asked, host or facts(), lab_id, catalogue(asked))


def steal_pct(made: LabPlan) -> dict[str, list[float | None]]:
    """Predicted steal of every vCPU by node."""
    return {node.name: [vcpu.predicted_steal_pct for vcpu in node.vcpus] for node in made.nodes}
