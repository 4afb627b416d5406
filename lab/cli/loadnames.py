# SPDX-License-Identifier: GPL-2.0-only
"""Every kind of load that is known, without a lab: the shipped ones and a user's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from lab.cli.desk import desk_of
from lab.loads.model import Catalogue

LoadFilesOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--loads", metavar="PATH", help="A file of load definitions, or a directory of them. Repeatable."
    ),
]
OfTopologyOption = Annotated[
    Path | None, typer.Option("--topology", metavar="FILE", help="With the kinds that this topology defines.")
]


def known_loads(paths: Sequence[Path] | None, topology: Path | None) -> Catalogue:
    """The shipped kinds, those of a topology, and those of the user's files. Raises InputError where one of these
    cannot be used."""
    from lab.loads.catalogue import add_load_text, read_load_texts, shipped_loads
    from lab.topology.decode import read_topology

    kinds = shipped_loads() if topology is None else read_topology(topology).load_kinds
    for path in paths or ():
        for source in read_load_texts(path):
            kinds = add_load_text(kinds, source)
    return kinds


def list_(ctx: typer.Context, load_files: LoadFilesOption = None, topology: OfTopologyOption = None) -> None:
    """List the kinds of loads: how they end, which root image they need, what they report."""
    from lab.loads.text import render_load_list

    desk_of(ctx).print(render_load_list(known_loads(load_files, topology)))


def explain(
    ctx: typer.Context,
    kind: Annotated[str, typer.Argument(metavar="KIND", help="A kind of load.")],
    load_files: LoadFilesOption = None,
    topology: OfTopologyOption = None,
) -> None:
    """Explain a kind of load: what it does, its parameters, and what it reports."""
    from lab.loads.text import render_load_explanation

    desk_of(ctx).print(render_load_explanation(kind, known_loads(load_files, topology)))
