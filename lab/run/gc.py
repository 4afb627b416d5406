# SPDX-License-Identifier: GPL-2.0-only
"""Cleaning up after labs whose process is gone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from lab.errors import HostError
from lab.run.lab import end_lab
from lab.run.ports import Host, Narrator
from lab.run.records import LabRecord, LabRecords

#: Opens the host of a record as it is, without starting anything; gives None where it does not run any more.
ReopenHost = Callable[[LabRecord], AbstractContextManager[Host | None]]


def collect_orphans(records: LabRecords, reopen: ReopenHost, narrator: Narrator) -> tuple[LabRecord, ...]:
    """End every orphaned lab; returns those that were ended. A host that cannot be reached keeps its record."""
    ended = []
    for record in records.all():
        if record.is_orphan() and end_recorded(records, record, reopen, narrator):
            ended.append(record)
    return tuple(ended)


def end_recorded(records: LabRecords, record: LabRecord, reopen: ReopenHost, narrator: Narrator) -> bool:
    """End one lab by its record; False where its host cannot be reached, and the record then stays."""
    try:
        with reopen(record) as host:
            if end_lab(host, records, record):
                return True
            reason = f"the connection to {record.where} was lost"
    except HostError as error:
        reason = error.message
    narrator.say(f"lab {record.name} ({record.lab_id}) is not ended: {reason}")
    return False
