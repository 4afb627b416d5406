# SPDX-License-Identifier: GPL-2.0-only
"""`lab knob`: knobs of a running lab, and all that are known."""

from __future__ import annotations

from typing import Annotated

import typer

from lab.cli.desk import Desk, desk_of
from lab.cli.knobnames import KnobFilesOption, known_knobs
from lab.cli.parameters import LabOption, OfHostOption
from lab.errors import InputError


def list_(
    ctx: typer.Context,
    node: Annotated[str | None, typer.Argument(metavar="NODE", help="A node of the lab.")] = None,
    of_host: OfHostOption = False,
    lab: LabOption = None,
    every: Annotated[bool, typer.Option("--all", help="Every knob that is known; no lab is asked.")] = False,
    knob_files: KnobFilesOption = None,
) -> None:
    """List the knobs that this guest's kernel has, or with --all every knob that is known."""
    from lab.knobs.text import render_knob_list

    if every:
        desk_of(ctx).print(render_knob_list(known_knobs(desk_of(ctx), knob_files, lab)))
    elif node is None and not of_host:
        raise InputError("lab knob list: say of which node, --host, or --all", "`lab knob list --all`")
    else:
        _list_of(desk_of(ctx), node, of_host, lab)


def _list_of(desk: Desk, node: str | None, of_host: bool, lab: str | None) -> None:
    from lab.cli.knobtarget import find_target, open_target_knobs
    from lab.plan.knobs import plan_reading_in

    target = find_target(desk, "list", [node] if node else [], of_host, lab, ())
    settings = [plan_reading_in(target.lab.plan, target.node, name)[0] for name in target.knob_names()]
    found: dict[str, str] = {}
    with open_target_knobs(desk, target) as knobs:
        for node in dict.fromkeys(one.node for one in settings):
            of_node = [one for one in settings if one.node == node]
            values = zip(of_node, knobs.read_each(of_node), strict=True)
            found.update((one.knob, value or "empty") for one, value in values if isinstance(value, str))
    lines = [f"{name:<24} {found.get(name, 'not in this kernel')}" for name in target.knob_names()]
    desk.print("\n".join(lines))
