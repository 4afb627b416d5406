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

    Ends what labs left behind whose process is gone, puts back their hosts' knobs, and removes what crashed builds
    and commands left. Of a living lab only knobs are put back whose writer died at it. Nothing foreign is touched.
    """
    from lab.cli.scratch import remove_scratch
    from lab.run.gc import collect_orphans
    from lab.run.knobmend import labs_to_mend, mend_knobs

    desk = desk_of(ctx)
    orphans = [record for record in desk.records.all() if record.is_orphan()]
    if dry_run:
        told = [f"would end {one.name} ({one.lab_id}) on {one.where}" for one in orphans]
        told += [f"would put back knobs of {one.name} ({one.lab_id})" for one in labs_to_mend(desk.records)]
        desk.print("\n".join(told) or "nothing")
        return ExitCode.PASSED
    ended: tuple[str, ...] = ()
    if orphans:
        with desk.interrupts.held():
            found = collect_orphans(desk.records, desk.wiring.reopen_host, desk.narrator)
        ended = tuple(record.lab_id for record in found)
    lines = [f"ended {one.name} ({one.lab_id}) on {one.where}" for one in orphans if one.lab_id in ended]
    if labs_to_mend(desk.records):
        with desk.interrupts.held():
            mended = mend_knobs(desk.records, desk.places.state_dir, desk.wiring.reopen_host, desk.narrator)
        lines += [
            f"put back {one.entry.knob} of {one.entry.machine} in {record.name} ({record.lab_id})"
            for record, one in mended
        ]
    left = (*desk.cache.remove_leftovers(), *remove_scratch(desk.places.state_dir))
    lines += [f"removed {path}" for path in left]
    desk.print("\n".join(lines) or "nothing was left behind")
    return ExitCode.PASSED if len(ended) == len(orphans) else ExitCode.HOST_UNFIT
