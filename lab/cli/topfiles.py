# SPDX-License-Identifier: GPL-2.0-only
"""The local files of a lab that runs, looked at again and again: which start of each guest it is, and events."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from lab.errors import LabFailure
from lab.recording import Event
from lab.run.boot import GUESTS_FILE, GuestFiles, read_guests


@dataclass
class GuestsFile:
    """The guests' files as they were last written down (lab.run.boot)."""

    directory: Path
    guests: dict[str, GuestFiles] = field(default_factory=dict)
    _seen: tuple[int, int] = (0, 0)

    def changed(self) -> list[str]:
        """Guests that were started anew since the last time; all of them at first."""
        try:
            status = (self.directory / GUESTS_FILE).stat()
        except OSError:
            return []
        seen = (status.st_mtime_ns, status.st_ino)
        if seen == self._seen:
            return []
        try:
            guests = read_guests(self.directory)
        except LabFailure:
            return []
        self._seen = seen
        before, self.guests = self.guests, guests
        return [name for name, files in guests.items() if before.get(name) != files]


class GrowingFile:
    """A file of lines that grows, of which at first no more than the last `most` bytes are read."""

    def __init__(self, path: Path, most: int | None = None) -> None:
        self._path = path
        self._most = most
        self._offset = 0
        self._rest = b""

    def new(self) -> list[bytes]:
        """Whole lines since the last time; none while it cannot be read."""
        try:
            with self._path.open("rb") as file:
                data = self._read(file)
        except OSError:
            return []
        *lines, self._rest = (self._rest + data).split(b"\n")
        return lines

    def _read(self, file: BinaryIO) -> bytes:
        size = file.seek(0, os.SEEK_END)
        if size < self._offset:  # somebody has begun it anew
            self._offset, self._rest = 0, b""
        if self._most is not None and size - self._offset > self._most:
            self._offset = size - self._most
        file.seek(self._offset)
        data = file.read()
        self._offset += len(data)
        return data


class EventsFile:
    """A run's events.jsonl, as it grows (lab.recording)."""

    def __init__(self, path: Path) -> None:
        self._file = GrowingFile(path)

    def new(self) -> Iterator[Event]:
        """Events since the last time; what cannot be read is left out."""
        for line in self._file.new():
            try:
                found = json.loads(line)
                yield Event(int(found.pop("t_ns")), str(found.pop("kind")), found)
            except (ValueError, KeyError, AttributeError, TypeError):
                continue
