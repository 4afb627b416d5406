# SPDX-License-Identifier: GPL-2.0-only
"""`lab down`: end a lab that is up."""

from __future__ import annotations

from typing import Annotated

import typer

from lab.cli.completing import complete_labs
from lab.cli.desk import desk_of
from lab.errors import HostError


def down(
    ctx: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="Name or id of the lab. Default: the only one.",
            autocompletion=complete_labs,
        ),
    ] = None,
) -> None:
    """End a lab.

    Its guests, its network, its files, and nothing else.
    """
    from lab.run.gc import end_recorded

    desk = desk_of(ctx)
    record = desk.records.find(name)
    with desk.interrupts.held():
        ended = end_recorded(desk.records, record, desk.wiring.reopen_host, desk.narrator)
    if not ended:
        raise HostError(
            f"lab {record.name} ({record.lab_id}): its host {record.where} cannot be reached, so it was not ended",
            "`lab down` again when the host can be reached",
        )
    desk.print(f"lab {record.name} ({record.lab_id}) is down")
