# SPDX-License-Identifier: GPL-2.0-only
"""From the words of `lab compare` to recordings: ``DIR`` or ``NAME=DIR``, where DIR may hold many."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path

from lab.cli.desk import Desk
from lab.cli.metricfile import read_recorded
from lab.errors import InputError, RecordingError
from lab.judge.acrossrecordings import Side
from lab.judge.recorded import Recorded

_NAMED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)=(.+)")


@dataclass(frozen=True)
class Asked:
    """The recordings of one side, not read yet."""

    name: str
    directories: tuple[Path, ...]


def find_sides(words: Sequence[str]) -> tuple[Asked, ...]:
    """The sides that `words` name, in order; those of the same NAME are one.

    Raises InputError where a word finds no recording, or a side would have the same one twice.
    """
    found: dict[str, list[Path]] = {}
    split = [_split(word) for word in words]
    short = Counter(Path(path).name if name is None else name for name, path in split)
    for name, path in split:
        own = (Path(path).name if short[Path(path).name] == 1 else path) or path
        found.setdefault(own if name is None else name, []).extend(_recordings(path))
    for name, directories in found.items():
        _refuse_twice(name, directories)
    return tuple(Asked(name, tuple(directories)) for name, directories in found.items())


def _split(word: str) -> tuple[str | None, str]:
    """Name, if any, and path. A directory may have a = in its name: then it is no NAME=DIR."""
    named = _NAMED.fullmatch(word)
    if named is not None and not Path(word).exists():
        return named[1], named[2]
    return None, word


def _recordings(path: str) -> Iterator[Path]:
    """The recording at `path`, those in it, or all that match."""
    pattern = has_magic(path) and not Path(path).exists()
    matching = sorted(glob(path)) if pattern else [path]  # noqa: PTH207 (Path.glob takes no absolute pattern)
    directories = [one for match in matching for one in _in(Path(match))]
    if not directories:
        raise InputError(
            f"{path}: no recording there (no recording.json in it, or in what it holds)",
            "`lab run TOPOLOGY --record DIR` makes one",
        )
    yield from directories


def _in(directory: Path) -> Iterable[Path]:
    if (directory / "recording.json").exists():
        return (directory,)
    return sorted(path.parent for path in directory.glob("*/recording.json"))


def _refuse_twice(name: str, directories: Sequence[Path]) -> None:
    seen: set[Path] = set()
    for directory in directories:
        real = directory.resolve()
        if real in seen:
            raise InputError(f"{directory}: stands twice in {name}: one recording is one measurement")
        seen.add(real)


def read_sides(asked: Sequence[Asked], desk: Desk) -> tuple[Side, ...]:
    """All recordings. Raises InputError with a line for each that cannot be read."""
    total, done = sum(len(side.directories) for side in asked), 0
    errors: list[RecordingError] = []
    sides: list[Side] = []
    desk.terminal.step(f"reading {total} recording{'s' if total != 1 else ''}")
    for side in asked:
        recordings: list[tuple[str, Recorded]] = []
        for directory in side.directories:
            try:
                recordings.append((directory.name, read_recorded(directory)))
            except RecordingError as error:
                errors.append(error)
            done += 1
            desk.terminal.update(done / total, f"{done} of {total}")
        sides.append(Side(side.name, tuple(recordings)))
    desk.terminal.end_step()
    if errors:
        raise InputError("\n".join(error.message for error in errors), errors[0].hint)
    return tuple(sides)
