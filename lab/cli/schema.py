# SPDX-License-Identifier: GPL-2.0-only
"""`lab schema`: the formats of files, for editors."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from lab.cli.desk import desk_of
from lab.errors import InputError

KnobsOption = Annotated[
    bool, typer.Option("--knobs", help="Of files of knob definitions instead of topologies.")
]
LoadsOption = Annotated[
    bool, typer.Option("--loads", help="Of files of load definitions instead of topologies.")
]
SweepsOption = Annotated[bool, typer.Option("--sweeps", help="Of sweep files instead of topologies.")]


def schema(
    ctx: typer.Context,
    knobs: KnobsOption = False,
    loads: LoadsOption = False,
    sweeps: SweepsOption = False,
) -> None:
    """Print the JSON schema of topology files."""
    desk_of(ctx).print_json(chosen_schema("schema", knobs=knobs, loads=loads, sweeps=sweeps))


def chosen_schema(verb: str, *, knobs: bool, loads: bool, sweeps: bool) -> dict[str, Any]:
    """The JSON schema of the kind of file that is asked for. Raises InputError where more than one is."""
    from lab.knobs.schema import knob_file_schema
    from lab.loads.schema import load_file_schema
    from lab.sweep.schema import sweep_file_schema
    from lab.topology.schema import topology_schema

    kinds = ((knobs, knob_file_schema), (loads, load_file_schema), (sweeps, sweep_file_schema))
    asked = [make for wanted, make in kinds if wanted]
    if len(asked) > 1:
        raise InputError(f"lab {verb}: give one of --knobs, --loads, --sweeps")
    return asked[0]() if asked else topology_schema()
