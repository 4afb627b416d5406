# SPDX-License-Identifier: GPL-2.0-only
"""Which lab `lab top` looks at: one that is up, or one in which a run is going on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from lab.cli.desk import Desk
from lab.cli.running import RunningLab, read_running
from lab.errors import InputError
from lab.run.records import LabRecord, LabState

_SEEN = (LabState.UP, LabState.RUNNING)
_LOOK_S = 0.5


def find_seen(
    desk: Desk, name: str | None, wait: bool = False, sleep: Callable[[float], None] = time.sleep
) -> RunningLab:
    """The lab of this name or id whose guests have come up, or the only one.

    One that is just starting is waited for, and with `wait` one that does not exist yet. Raises InputError where
    there is none, or more than one.
    """
    told = False
    while True:
        records = [one for one in desk.records.all() if not one.is_orphan() and _is_meant(one, name)]
        seen = [one for one in records if one.state in _SEEN]
        if len(seen) == 1:
            return read_running(desk, seen[0])
        starting = [one for one in records if one.state is LabState.STARTING]
        if len(seen) > 1 or not (wait or starting):
            raise InputError(_not_one(name, seen, desk), "`lab status` lists the labs there are")
        if not told:
            what = f"lab {starting[0].name} is starting" if starting else "no lab yet"
            desk.terminal.say(f"{what}: waiting")
            told = True
        sleep(_LOOK_S)


def _is_meant(record: LabRecord, name: str | None) -> bool:
    return name in (None, record.name, record.lab_id)


def _not_one(name: str | None, seen: Sequence[LabRecord], desk: Desk) -> str:
    if len(seen) > 1:
        names = ", ".join(f"{one.name} ({one.lab_id})" for one in seen)
        return f"several labs fit ({names}); say which"
    others = [one for one in desk.records.all() if one.state in _SEEN and not one.is_orphan()]
    names = ", ".join(f"{one.name} ({one.lab_id})" for one in others) or "none"
    return f"no lab {name or ''} is up or running (there are: {names})".replace("  ", " ")


def title_of(lab: RunningLab) -> str:
    """The lab, where it is, and whose."""
    record = lab.record
    whose = "up" if record.state is LabState.UP else f"a run of process {record.owner_pid}"
    return f"{record.name} ({record.lab_id}) on {record.where}: {whose}"
