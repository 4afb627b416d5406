# SPDX-License-Identifier: GPL-2.0-only
"""`lab schema`: the formats of files, for editors."""

from __future__ import annotations

from typing import Annotated

import typer

from lab.cli.desk import desk_of


def schema(
    ctx: typer.Context,
    knobs: Annotated[
        bool, typer.Option("--knobs", help="Of files of knob definitions instead of topologies.")
    ] = False,
) -> None:
    """Print the JSON schema of topology files."""
    from lab.knobs.schema import knob_file_schema
    from lab.topology.schema import topology_schema

    desk_of(ctx).print_json(knob_file_schema() if knobs else topology_schema())
