# SPDX-License-Identifier: GPL-2.0-only
"""`lab schema`: the formats of files, for editors."""

from __future__ import annotations

from typing import Annotated

import typer

from lab.cli.desk import desk_of
from lab.errors import InputError


def schema(
    ctx: typer.Context,
    knobs: Annotated[
        bool, typer.Option("--knobs", help="Of files of knob definitions instead of topologies.")
    ] = False,
    loads: Annotated[
        bool, typer.Option("--loads", help="Of files of load definitions instead of topologies.")
    ] = False,
    sweeps: Annotated[bool, typer.Option("--sweeps", help="Of sweep files instead of topologies.")] = False,
) -> None:
    """Print the JSON schema of topology files."""
    from lab.knobs.schema import knob_file_schema
    from lab.loads.schema import load_file_schema
    from lab.sweep.schema import sweep_file_schema
    from lab.topology.schema import topology_schema

    asked = [
        make
        for wanted, make in (
            (knobs, knob_file_schema),
            (loads, load_file_schema),
            (sweeps, sweep_file_schema),
        )
        if wanted
    ]
    if len(asked) > 1:
        raise InputError("lab schema: give one of --knobs, --loads, --sweeps")
    desk_of(ctx).print_json(asked[0]() if asked else topology_schema())
