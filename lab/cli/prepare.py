# SPDX-License-Identifier: GPL-2.0-only
"""`lab prepare`: build beforehand what labs need."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lab.cli.desk import Desk, desk_of
from lab.cli.parameters import HostOption
from lab.topology.model import Topology


def prepare(
    ctx: typer.Context,
    topologies: Annotated[list[Path], typer.Argument(metavar="TOPOLOGY...", help="Topology files.")],
    host: HostOption = None,
) -> None:
    """Build what topologies need.

    Everything, for where they will run: kernels, images, and the host VM's parts. Repeating costs seconds.
    """
    from lab.cli.asked import read_asked

    desk = desk_of(ctx)
    asked = [read_asked(path, desk.places) for path in topologies]
    for topology in asked:
        _prepare(desk, topology, host)


def _prepare(desk: Desk, topology: Topology, host: str | None) -> None:
    from lab.cli.asked import plan_for_building

    plan = plan_for_building(desk, topology, host)
    lines = []
    if plan.host.where == "nested":
        parts = desk.wiring.host_vm_parts()
        lines += [
            f"emulator     {parts.emulator}",
            f"host kernel  {parts.kernel}",
            f"host image   {parts.image}",
        ]
    launch = desk.wiring.launch(plan)
    lines.append(f"guest image  {launch.root_image}")
    lines += [f"guest image  {name}: {path}" for name, path in launch.images.items()]
    lines += [f"kernel       {name}: {path}" for name, path in launch.kernels.items()]
    lines += [f"selftests    {name}: {path}" for name, path in launch.selftests.items()]
    desk.print(f"{topology.name} on {plan.host.where}:\n" + "\n".join(f"  {line}" for line in lines))
