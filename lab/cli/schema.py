# SPDX-License-Identifier: GPL-2.0-only
"""`lab schema`: the format of topology files, for editors."""

from __future__ import annotations

import typer

from lab.cli.desk import desk_of


def schema(ctx: typer.Context) -> None:
    """Print the JSON schema of topology files."""
    from lab.topology.schema import topology_schema

    desk_of(ctx).print_json(topology_schema())
