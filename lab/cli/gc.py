# SPDX-License-Identifier: GPL-2.0-only
"""`lab gc`: clean up after labs and builds whose process is gone."""

from __future__ import annotations

from typing import Annotated

import typer

from lab.cli.desk import desk_of
from lab.errors import ExitCode


def gc(
    ctx: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be ended.")] = False,
) -> int:
    """Clean up after crashed labs.

    Ends what labs left behind whose process is gone, and removes what crashed builds left. Nothing of a living
    lab is touched, and nothing foreign.
    """
    from lab.run.gc import collect_orphans

    desk = desk_of(ctx)
    orphans = [record for record in desk.records.all() if record.is_orphan()]
    if dry_run:
        desk.print(
            "".join(f"would end {one.name} ({one.lab_id}) on {one.where}\n" for one in orphans) or "nothing"
        )
        return ExitCode.PASSED
    ended: tuple[str, ...] = ()
    if orphans:
        with desk.interrupts.held():
            found = collect_orphans(desk.records, desk.wiring.reopen_host, desk.narrator)
        ended = tuple(record.lab_id for record in found)
    lines = [f"ended {one.name} ({one.lab_id}) on {one.where}" for one in orphans if one.lab_id in ended]
    lines += [f"removed {path}" for path in desk.cache.remove_leftovers()]
    desk.print("\n".join(lines) or "nothing was left behind")
    return ExitCode.PASSED if len(ended) == len(orphans) else ExitCode.HOST_UNFIT
