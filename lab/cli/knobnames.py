# SPDX-License-Identifier: GPL-2.0-only
"""Every knob that is known, without a lab: the shipped ones and a user's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from lab.cli.desk import desk_of
from lab.knobs.load import add_knob_text, read_knob_texts, shipped_registry
from lab.knobs.model import Registry

KnobFilesOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--knobs", metavar="PATH", help="A file of knob definitions, or a directory of them. Repeatable."
    ),
]


def known_knobs(paths: Sequence[Path] | None) -> Registry:
    """The shipped knobs and those of the user's files. Raises InputError for one that cannot be used."""
    registry = shipped_registry()
    for path in paths or ():
        for source in read_knob_texts(path):
            registry = add_knob_text(registry, source)
    return registry


def explain(
    ctx: typer.Context,
    knob: Annotated[str, typer.Argument(metavar="KNOB", help="A knob's name.")],
    knob_files: KnobFilesOption = None,
) -> None:
    """Explain a knob: what it does, its values, and where each kernel keeps it."""
    from lab.knobs.text import render_explanation

    desk_of(ctx).print(render_explanation(knob, known_knobs(knob_files)))
