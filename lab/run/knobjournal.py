# SPDX-License-Identifier: GPL-2.0-only
"""What a lab wrote to knobs, on disk before it is written: STATE/labs/ID/knobs.jsonl.

A line {"entry": {...}} says what is about to be written and what brings the old value back; a line {"seq": N,
"state": ...} what became of it; {"epoch": N} that somebody began to write. Whoever writes holds the file's lock, so
that one who died is told from one who is slow. A line that was cut short was never followed by a write.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Lock
from typing import IO, Any, Literal

from pydantic import TypeAdapter

from lab.knobs.model import KnobKind
from lab.run.records import ProcessName

#: `begun`: may have been written, or not. `written`: was. The others owe nothing any more: `refused` (nothing
#: changed), `restored`, and `moot` (the machine was started anew, or the place is gone).
EntryState = Literal["begun", "written", "refused", "restored", "moot"]
OPEN_STATES: tuple[EntryState, ...] = ("begun", "written")
FILE_NAME = "knobs.jsonl"


@dataclass(frozen=True)
class KnobEntry:
    """One write. `machine` is a node or HOST_SCOPE, in its boot `boot_id`; `word` the place as pvknob takes it,
    `place` as the machine has it. Writing `back` to `undo` brings `old` back. `owner` is a process that will do so
    itself; without one what was written stays until somebody asks for its end."""

    seq: int
    machine: str
    boot_id: str
    knob: str
    word: str
    place: str
    compare: KnobKind
    old: str
    wanted: str
    undo: str
    back: str
    state: EntryState = "begun"
    owner: ProcessName | None = None

    @property
    def is_abandoned(self) -> bool:
        """Whether nobody will end what was begun: for one who holds the journal, as its writer may be at it."""
        return self.state == "begun" or (self.is_open and self.owner is not None and not self.owner.lives())

    @property
    def is_open(self) -> bool:
        """Whether the old value may still have to be brought back."""
        return self.state in OPEN_STATES


_ENTRY = TypeAdapter(KnobEntry)


class KnobJournal:
    """The journal of one lab, in its directory."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / FILE_NAME

    def entries(self) -> tuple[KnobEntry, ...]:
        """Everything so far, as it stands; empty where nothing was ever written."""
        try:
            return tuple(_Contents(self.path.read_bytes()).entries.values())
        except FileNotFoundError:
            return ()

    def open_entries(self, machine: str | None = None) -> tuple[KnobEntry, ...]:
        """What may have to be brought back, on one machine or on all."""
        return tuple(one for one in self.entries() if one.is_open and machine in (None, one.machine))

    @contextmanager
    def locked(self) -> Iterator[OpenJournal]:
        """The journal for writing; waits until nobody else writes."""
        is_new = not self.path.exists()
        with self.path.open("a+b") as file:
            if is_new:
                _sync_directory(self.path.parent)
            fcntl.flock(file, fcntl.LOCK_EX)
            yield OpenJournal(file)


def _sync_directory(directory: Path) -> None:
    """A file is on disk only when its name is."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


class OpenJournal:
    """A journal that this process alone writes to; several of its threads may."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._lock = Lock()
        file.seek(0)
        contents = _Contents(file.read())
        self._entries = contents.entries
        #: Higher than anybody's before, also where a crash of this machine lost the newest.
        self.epoch = max(contents.epoch + 1, time.time_ns() // 1_000_000)
        lines = [{"epoch": self.epoch}]
        self._append(lines, b"" if contents.is_whole else b"\n")

    def open_entries(self, machine: str | None = None, since: int = 0) -> tuple[KnobEntry, ...]:
        """What may have to be brought back, of what was begun after entry number `since`."""
        with self._lock:
            entries = tuple(self._entries.values())
        return tuple(
            one for one in entries if one.is_open and one.seq > since and machine in (None, one.machine)
        )

    def begin(self, entries: Sequence[KnobEntry]) -> tuple[KnobEntry, ...]:
        """Write entries down, numbered. When this returns they are on disk, and may be carried out."""
        with self._lock:
            first = max(self._entries, default=0) + 1
            numbered = tuple(replace(one, seq=first + index) for index, one in enumerate(entries))
            self._entries.update({one.seq: one for one in numbered})
            self._append([{"entry": asdict(one)} for one in numbered])
            os.fsync(self._file.fileno())
        return numbered

    def note(self, entries: Iterable[KnobEntry], state: EntryState) -> None:
        """What became of entries. Should this be lost, they are brought back once more than needed."""
        with self._lock:
            seqs = [one.seq for one in entries]
            self._entries.update({seq: replace(self._entries[seq], state=state) for seq in seqs})
            self._append([{"seq": seq, "state": state} for seq in seqs])

    def _append(self, lines: Sequence[Mapping[str, Any]], before: bytes = b"") -> None:
        if lines:
            self._file.write(before + b"".join(json.dumps(one).encode() + b"\n" for one in lines))
            self._file.flush()


class _Contents:
    """A journal as it was read."""

    def __init__(self, data: bytes) -> None:
        self.epoch = 0
        self.entries: dict[int, KnobEntry] = {}
        self.is_whole = not data or data.endswith(b"\n")
        for line in data.split(b"\n"):
            try:
                self._take(json.loads(line))
            except (ValueError, KeyError, TypeError):
                continue  # cut short by a crash: what it announced never happened

    def _take(self, line: Mapping[str, Any]) -> None:
        if "epoch" in line:
            self.epoch = max(self.epoch, int(line["epoch"]))
        elif "entry" in line:
            entry = _ENTRY.validate_python(line["entry"])
            self.entries[entry.seq] = entry
        else:
            self.entries[line["seq"]] = replace(self.entries[line["seq"]], state=line["state"])
