# SPDX-License-Identifier: GPL-2.0-only
"""`lab knob get` and `lab knob set`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.desk import Desk, desk_of
from lab.cli.parameters import JsonOption, LabOption, OfHostOption

if TYPE_CHECKING:
    from lab.cli.knobtarget import Target

_About = "Of --host, leave NODE out."
_Words = Annotated[
    list[str],
    typer.Argument(metavar="NODE KNOB", help=f"A knob's name, or an absolute path there. {_About}"),
]
_WordsAndValue = Annotated[
    list[str], typer.Argument(metavar="NODE KNOB VALUE", help=f"What to write; '' clears. {_About}")
]


def get(
    ctx: typer.Context,
    words: _Words,
    of_host: OfHostOption = False,
    as_json: JsonOption = False,
    lab: LabOption = None,
) -> None:
    """Print a knob's value, in the knob's own unit."""
    from lab.cli.knobtarget import find_target, open_target_knobs, vcpu_of
    from lab.plan.knobs import plan_reading_in

    desk = desk_of(ctx)
    target = find_target(desk, "get", words, of_host, lab, ("KNOB",))
    settings = plan_reading_in(target.lab.plan, target.node, target.words[0])
    with open_target_knobs(desk, target) as knobs:
        values = knobs.read_all(settings)
    found = dict(zip([vcpu_of(one).strip() for one in settings], values, strict=True))
    if as_json:
        desk.print_json({"node": target.name, "knob": target.words[0], "values": found})
    elif len(set(values)) == 1:
        desk.print(values[0])
    else:
        desk.print("\n".join(f"{vcpu}: {value}" for vcpu, value in found.items()))


def set_(
    ctx: typer.Context, words: _WordsAndValue, of_host: OfHostOption = False, lab: LabOption = None
) -> None:
    """Write a knob, read it back, and print the change. One on the command line starts the guest anew.

    What was there before is put back by `lab knob restore` and by the lab's end.
    """
    from lab.cli.knobrestart import set_on_command_line
    from lab.cli.knobtarget import find_target
    from lab.plan.cmdline import cmdline_candidate
    from lab.plan.knobs import plan_knob_in

    desk = desk_of(ctx)
    target = find_target(desk, "set", words, of_host, lab, ("KNOB", "VALUE"))
    settings = plan_knob_in(target.lab.plan, target.node, *target.words)
    if cmdline_candidate(settings[0]) is not None:
        desk.print(set_on_command_line(desk, target.lab, settings[0]))
    else:
        desk.print(_set(desk, target))


def _set(desk: Desk, target: Target) -> str:
    from lab.cli.knobtarget import open_target_knobs, vcpu_of
    from lab.plan.knobs import plan_knob_in
    from lab.run.knobs import KnobChange, KnobSkipped

    done: list[KnobChange | KnobSkipped] = []
    settings = plan_knob_in(target.lab.plan, target.node, *target.words)
    # Whoever presses Ctrl-C in the middle finds the knob as it was, or as it was to be: never in between.
    with open_target_knobs(desk, target) as knobs, desk.interrupts.held(), knobs.writing() as writer:
        writer.write(settings, done.append)
    return "\n".join(
        f"{target.name} {one.setting.knob}{vcpu_of(one.setting)}: {one.old or 'empty'} -> {one.new or 'empty'}"
        for one in done
        if isinstance(one, KnobChange)
    )
