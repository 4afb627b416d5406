# SPDX-License-Identifier: GPL-2.0-only
"""`lab kernel`: kernels of topologies."""

from __future__ import annotations

from typing import Annotated

import typer

from lab.cli.desk import desk_of
from lab.cli.parameters import HostOption, JsonOption, TopologyFile
from lab.errors import InputError


def build(
    ctx: typer.Context,
    topology: TopologyFile,
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="One of its kernels. Default: all that nodes use.")
    ] = None,
    host: HostOption = None,
) -> None:
    """Build a topology's kernels for where they will run."""
    from lab.artifacts.kernels import ensure_kernel
    from lab.cli.asked import plan_for_building, read_asked

    desk = desk_of(ctx)
    asked = read_asked(topology, desk.places)
    plan = plan_for_building(desk, asked, host)
    wanted = [kernel for kernel in plan.kernels if name in (None, kernel.name)]
    if not wanted:
        known = ", ".join(kernel.name for kernel in plan.kernels)
        raise InputError(f"{topology}: no node uses a kernel {name!r} (used: {known})")
    for kernel in wanted:
        built = ensure_kernel(desk.wiring.workshop, kernel)
        desk.print(f"{kernel.name} {built.release} {built.boot_image}")


def list_(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """List the kernels that are built."""
    from lab.artifacts.listing import list_kernels
    from lab.cli.listings import print_listed

    desk = desk_of(ctx)
    print_listed(desk, list_kernels(desk.cache), as_json)
