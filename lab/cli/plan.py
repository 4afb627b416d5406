# SPDX-License-Identifier: GPL-2.0-only
"""`lab plan`: what would be done. Touches nothing, starts nothing, asks no host."""

from __future__ import annotations

from typing import Annotated

import typer

from lab.cli.desk import desk_of
from lab.cli.parameters import HostOption, JsonOption, TopologyFile
from lab.errors import InputError


def plan(
    ctx: typer.Context,
    topology: TopologyFile,
    host: HostOption = None,
    as_json: JsonOption = False,
    as_xml: Annotated[
        bool, typer.Option("--xml", help="Print the network and the domains as libvirt's XML.")
    ] = False,
) -> None:
    """Show what would be done, and do nothing.

    Placement, overcommit, predicted steal, what would be built. No host is asked and nothing is started.
    """
    from lab.cli.asked import asked_where, guess_where, plan_by_guess, read_asked
    from lab.plan.assume import render_assumption
    from lab.plan.labplan import plan_as_dict
    from lab.plan.text import render_plan_text

    if as_json and as_xml:
        raise InputError("--json and --xml exclude each other")
    desk = desk_of(ctx)
    asked = read_asked(topology, desk.places)
    guess = guess_where(asked_where(host, asked), desk.places)
    made = plan_by_guess(asked, guess.where, desk.places)
    notes = [f"host {guess.where}: {guess.reason}", render_assumption(made.host)]
    if as_json:
        desk.print_json({**plan_as_dict(made), "notes": notes})
    elif as_xml:
        from lab.cli.planxml import render_plan_xml

        desk.print(render_plan_xml(made))
    else:
        desk.print(render_plan_text(made) + "\nnotes:\n" + "".join(f"  {note}\n" for note in notes))
