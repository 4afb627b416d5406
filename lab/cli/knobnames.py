# SPDX-License-Identifier: GPL-2.0-only
"""Every knob that is known, without a lab: the shipped ones and a user's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from lab.cli.desk import Desk, desk_of
from lab.knobs.load import add_knob_text, read_knob_texts, shipped_registry
from lab.knobs.model import Registry

KnobFilesOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--knobs", metavar="PATH", help="A file of knob definitions, or a directory of them. Repeatable."
    ),
]
KnobsOfLabOption = Annotated[
    str | None,
    typer.Option(
        "--lab", metavar="NAME", help="With the knobs that the topology of this running lab defines."
    ),
]


def known_knobs(desk: Desk, paths: Sequence[Path] | None, lab: str | None) -> Registry:
    """The shipped knobs, those of the topology of the running lab called `lab`, and those of the user's files.

    Raises InputError for a lab or a file that cannot be used.
    """
    registry = shipped_registry() if lab is None else _knobs_of_lab(desk, lab)
    for path in paths or ():
        for source in read_knob_texts(path):
            registry = add_knob_text(registry, source)
    return registry


def _knobs_of_lab(desk: Desk, lab: str) -> Registry:
    from lab.cli.running import find_running
    from lab.plan.knobs import registry_of

    return registry_of(find_running(desk, lab).plan)


def explain(
    ctx: typer.Context,
    knob: Annotated[str, typer.Argument(metavar="KNOB", help="A knob's name.")],
    knob_files: KnobFilesOption = None,
    lab: KnobsOfLabOption = None,
) -> None:
    """Explain a knob: what it does, its values, and where each kernel keeps it."""
    from lab.knobs.text import render_explanation

    desk = desk_of(ctx)
    desk.print(render_explanation(knob, known_knobs(desk, knob_files, lab)))
