# SPDX-License-Identifier: GPL-2.0-only
"""Every shipped topology is planned as its golden files say. A new topology fails until it has some."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lab.plan.decide import plan_lab
from lab.plan.domainxml import GuestPaths, render_domain_xml, render_guest_cmdline, render_network_xml
from lab.plan.facts import HostFacts
from lab.plan.kernels import KernelCatalogue, PatchSet
from lab.plan.labplan import LabPlan, NodePlan, render_plan_json
from lab.plan.text import render_plan_text
from lab.topology.decode import read_topology
from lab.topology.model import Topology

Golden = Callable[[str, str], None]

ROOT = Path(__file__).parents[2]
TOPOLOGIES = sorted((ROOT / "topologies").glob("*.yaml"))
FACTS = HostFacts(where="local", pcpus=(0, 1, 2, 3), memory_mib=8192, emulated=False)


def fixed_catalogue(topology: Topology) -> KernelCatalogue:
    """A catalogue of no machine and no moment: golden files must not change with a checkout's place, nor with
    the number of patches in a series."""
    entries = [entry for kernel in topology.kernels.values() for entry in kernel.patches]
    return KernelCatalogue(
        directory=Path("/lab/topologies"),
        patch_sets={entry: PatchSet((f"/lab/images/kernels/{entry}/0001.patch",)) for entry in entries},
        base_fragments=("/lab/images/kernels/configs/base.config",),
        emulated_fragments=("/lab/images/kernels/configs/emulated.config",),
        native_fragments=("/lab/images/kernels/configs/native.config",),
    )


def fixed_paths(plan: LabPlan, node: NodePlan) -> GuestPaths:
    return GuestPaths(
        kernel=f"/store/kernels/{node.kernel}/vmlinux",
        initrd="/store/initrd.img",
        root_image="/store/root.erofs",
        console_log=f"/state/{plan.lab_id}/{node.name}/console.log",
        probe_socket=f"/state/{plan.lab_id}/{node.name}/probe.sock",
        cmdline=render_guest_cmdline(plan, node),
    )


@pytest.fixture(params=TOPOLOGIES, ids=lambda path: path.stem)
def plan(request: pytest.FixtureRequest) -> LabPlan:
    topology = read_topology(request.param)
    return plan_lab(topology, FACTS, "golden0", fixed_catalogue(topology))


def test_there_are_topologies() -> None:
    assert TOPOLOGIES


def test_topologies_are_named_like_their_files() -> None:
    assert [read_topology(path).name for path in TOPOLOGIES] == [path.stem for path in TOPOLOGIES]


def test_json(plan: LabPlan, golden: Golden) -> None:
    golden(f"{plan.name}/plan.json", render_plan_json(plan))


def test_text(plan: LabPlan, golden: Golden) -> None:
    golden(f"{plan.name}/plan.txt", render_plan_text(plan))


def test_domains(plan: LabPlan, golden: Golden) -> None:
    for node in plan.nodes:
        golden(f"{plan.name}/{node.name}.xml", render_domain_xml(plan, node, fixed_paths(plan, node)))


def test_network(plan: LabPlan, golden: Golden) -> None:
    golden(f"{plan.name}/network.xml", render_network_xml(plan))
