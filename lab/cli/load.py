# SPDX-License-Identifier: GPL-2.0-only
"""`lab load`: loads of a running lab's topology."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.desk import Desk, desk_of
from lab.cli.parameters import LabOption
from lab.errors import InputError

if TYPE_CHECKING:
    from lab.plan.labplan import LoadPlan
    from lab.run.ports import Shell

LoadArgument = Annotated[str, typer.Argument(metavar="NAME", help="A load of the lab's topology.")]


def start(ctx: typer.Context, name: LoadArgument, lab: LabOption = None) -> None:
    """Start a load on all the nodes that the topology gives it to."""
    from lab.run.guestctl import start_load

    _change(desk_of(ctx), lab, name, "started", start_load)


def stop(ctx: typer.Context, name: LoadArgument, lab: LabOption = None) -> None:
    """Stop a load."""
    from lab.run.guestctl import stop_load

    _change(desk_of(ctx), lab, name, "stopped", stop_load)


def _change(
    desk: Desk, lab: str | None, name: str, done: str, change: Callable[[Shell, LoadPlan], None]
) -> None:
    from lab.cli.running import find_running, open_running_host

    running = find_running(desk, lab)
    loads = [load for load in running.plan.loads if load.name == name]
    if not loads:
        known = ", ".join(dict.fromkeys(load.name for load in running.plan.loads)) or "none"
        raise InputError(f"lab {running.plan.name} has no load {name!r} (it has: {known})")

    with open_running_host(desk, running) as host, ThreadPoolExecutor(len(loads)) as pool:

        def change_one(load: LoadPlan) -> None:
            shell = running.shell(host, load.node)
            try:
                change(shell, load)
            finally:
                shell.close()

        list(pool.map(change_one, loads))
    desk.print(f"{done} {name} on {', '.join(load.node for load in loads)}")
