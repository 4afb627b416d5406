# SPDX-License-Identifier: GPL-2.0-only
"""Knobs of a host belong to one lab at a time: two would restore each other's values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from lab.plan.labplan import HOST_SCOPE
from lab.run.knobjournal import KnobEntry, KnobJournal
from lab.run.knobtexts import KnobHeldError
from lab.run.leases import leases_locked
from lab.run.records import LabRecord, LabRecords

#: Writes entries down where nobody else holds them (OpenJournal.begin).
Begin = Callable[[Sequence[KnobEntry]], tuple[KnobEntry, ...]]


class HostClaims:
    """The claims of one lab on the knobs of its host. What other labs hold stands in their journals."""

    def __init__(self, records: LabRecords, state_dir: Path, lab_id: str, where: str) -> None:
        self._records = records
        self._state_dir = state_dir
        self._lab_id = lab_id
        self._where = where

    def begin(self, entries: Sequence[KnobEntry], begin: Begin) -> tuple[KnobEntry, ...]:
        """Write `entries` down. Raises KnobHeldError where another lab on this host holds one of the knobs."""
        if not any(one.machine == HOST_SCOPE for one in entries):
            return begin(entries)
        with leases_locked(self._state_dir):
            for record, held in self._held():
                for mine in entries:
                    if mine.boot_id == held.boot_id and is_same_thing(mine, held):
                        raise _taken(mine, record)
            return begin(entries)

    def _held(self) -> Iterator[tuple[LabRecord, KnobEntry]]:
        for record in self._records.all():
            if record.lab_id != self._lab_id and record.where == self._where:
                journal = KnobJournal(self._records.directory(record.lab_id))
                for entry in journal.open_entries(HOST_SCOPE):
                    yield record, entry


def is_same_thing(one: KnobEntry, other: KnobEntry) -> bool:
    """The same file, or the same module: one that is loaded anew takes its parameters along."""
    if one.place == other.place or one.undo == other.undo:
        return True
    whole = one.undo.startswith("module:") or other.undo.startswith("module:")
    return whole and _module(one) == _module(other) != ""


def _module(entry: KnobEntry) -> str:
    kind, _, path = entry.undo.partition(":")
    return path.partition("/")[0].replace("-", "_") if kind.startswith("module") else ""


def _taken(entry: KnobEntry, record: LabRecord) -> KnobHeldError:
    end = f"`lab gc` puts it back: nobody will end lab {record.lab_id} otherwise"
    return KnobHeldError(
        f"knob {entry.knob} of the host ({entry.place}) is held by lab {record.name} ({record.lab_id}), which has "
        "changed it and not put it back yet",
        end if record.is_orphan() else f"`lab down {record.lab_id}` ends that lab and puts its knobs back",
    )
