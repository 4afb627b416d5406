# SPDX-License-Identifier: GPL-2.0-only
"""`lab knob`: knobs of a running lab."""

from __future__ import annotations

from typing import Annotated

import typer

from lab.cli.desk import desk_of
from lab.cli.parameters import LabOption, NodeArgument
from lab.errors import KnobError

KnobArgument = Annotated[
    str, typer.Argument(metavar="KNOB", help="A knob's name, or an absolute path in the guest.")
]


def get(ctx: typer.Context, node: NodeArgument, knob: KnobArgument, lab: LabOption = None) -> None:
    """Print a knob's value."""
    from lab.cli.running import find_running, open_guest
    from lab.plan.knobs import plan_knob
    from lab.run.guestctl import read_knob

    desk = desk_of(ctx)
    setting = plan_knob(node, knob, "")
    with open_guest(desk, find_running(desk, lab), node) as shell:
        desk.print(read_knob(shell, setting))


def set_(
    ctx: typer.Context,
    node: NodeArgument,
    knob: KnobArgument,
    value: Annotated[str, typer.Argument(metavar="VALUE", help="What to write; '' clears.")],
    lab: LabOption = None,
) -> None:
    """Write a knob, read it back, and print the change."""
    from lab.cli.running import find_running, open_guest
    from lab.plan.knobs import plan_knob
    from lab.run.guestctl import write_knob

    desk = desk_of(ctx)
    setting = plan_knob(node, knob, value)
    with open_guest(desk, find_running(desk, lab), node) as shell:
        change = write_knob(shell, setting)
    desk.print(f"{node} {knob}: {change.old or 'empty'} -> {change.new or 'empty'}")


def list_(ctx: typer.Context, node: NodeArgument, lab: LabOption = None) -> None:
    """List the knobs that have a name, and what this guest's kernel has of them."""
    from lab.cli.running import find_running, open_guest
    from lab.plan.knobs import KNOBS, plan_knob
    from lab.run.guestctl import read_knob

    desk = desk_of(ctx)
    lines = []
    with open_guest(desk, find_running(desk, lab), node) as shell:
        for name, knob in KNOBS.items():
            try:
                value = read_knob(shell, plan_knob(node, name, "")) or "empty"
            except KnobError:
                value = "not in this kernel"
            lines.append(f"{name:<16} {value:<20} {knob.path}")
    desk.print("\n".join(lines))
