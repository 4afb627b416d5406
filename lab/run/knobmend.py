# SPDX-License-Identifier: GPL-2.0-only
"""Labs that live on after somebody died who wrote their knobs: what he left half done is put back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from lab.errors import LabError
from lab.plan.labplan import parse_plan_json
from lab.run.knobjournal import KnobJournal
from lab.run.knobmachines import machines_of
from lab.run.knobrestore import Restored
from lab.run.knobs import KnobDriver
from lab.run.lab import open_knobs
from lab.run.ports import Host, Narrator
from lab.run.records import LabRecord, LabRecords, LabState
from lab.run.shells import GuestShells

#: As lab.run.gc has it.
ReopenHost = Callable[[LabRecord], AbstractContextManager[Host | None]]


def labs_to_mend(records: LabRecords) -> tuple[LabRecord, ...]:
    """Labs that are up and in whose knobs something looks abandoned; whoever holds the journal knows."""
    return tuple(
        record
        for record in records.all()
        if record.state is LabState.UP
        and not record.is_orphan()
        and any(one.is_abandoned for one in KnobJournal(records.directory(record.lab_id)).entries())
    )


def mend_knobs(
    records: LabRecords, state_dir: Path, reopen: ReopenHost, narrator: Narrator
) -> tuple[tuple[LabRecord, Restored], ...]:
    """Put back what was abandoned in labs that are up. One that cannot be reached is told, and left as it is."""
    done: list[tuple[LabRecord, Restored]] = []
    for record in labs_to_mend(records):
        try:
            with reopen(record) as host:
                if host is not None:
                    done += [(record, one) for one in _mend(host, records, state_dir, record)]
        except (LabError, OSError, ValueError) as error:
            narrator.say(f"knobs of lab {record.name} ({record.lab_id}) are not put back: {error}")
    return tuple(done)


def _mend(host: Host, records: LabRecords, state_dir: Path, record: LabRecord) -> list[Restored]:
    with _open(host, records, state_dir, record) as knobs, knobs.writing() as writer:
        machines = dict.fromkeys(one.machine for one in knobs.owed())
        return [one for name in machines for one in writer.restore_abandoned(name)]


@contextmanager
def _open(host: Host, records: LabRecords, state_dir: Path, record: LabRecord) -> Iterator[KnobDriver]:
    directory = records.directory(record.lab_id)
    plan = parse_plan_json((directory / "plan.json").read_bytes())
    lines = (directory / "host_keys").read_text().splitlines()
    shells = GuestShells(host, plan, directory / "key", dict(line.split(" ", 1) for line in lines))
    try:
        machines = machines_of(host, record.remote_dir, shells.__getitem__)
        yield open_knobs(records, state_dir, record, plan, machines)
    finally:
        shells.close()
