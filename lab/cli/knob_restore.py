# SPDX-License-Identifier: GPL-2.0-only
"""`lab knob restore`: knobs back to what the lab found."""

from __future__ import annotations

from typing import Annotated

import typer

from lab.cli.desk import desk_of
from lab.cli.parameters import LabOption, OfHostOption


def restore(
    ctx: typer.Context,
    node: Annotated[
        str | None, typer.Argument(metavar="[NODE]", help="Default: all nodes and the host.")
    ] = None,
    of_host: OfHostOption = False,
    lab: LabOption = None,
) -> None:
    """Put knobs back to what the lab found.

    In reverse order. Those that the topology set are among them.
    """
    from lab.cli.knobtarget import Target, open_target_knobs
    from lab.cli.running import find_running
    from lab.plan.labplan import HOST_SCOPE

    desk = desk_of(ctx)
    running = find_running(desk, lab)
    if node is not None:
        running.check_node(node)
    every = [HOST_SCOPE, *(one.name for one in running.plan.nodes)]
    machines = [HOST_SCOPE] if of_host else every if node is None else [node]
    lines = []
    with (
        open_target_knobs(desk, Target(running, machines[0], ())) as knobs,
        desk.interrupts.held(),
        knobs.writing() as writer,
    ):
        for machine in machines:
            name = "host" if machine == HOST_SCOPE else machine
            lines += [
                f"{name} {one.entry.knob}: {one.old or 'empty'} -> {one.new or 'empty'}"
                for one in writer.restore(machine)
            ]
    desk.print("\n".join(lines) or "every knob is as the lab found it")
