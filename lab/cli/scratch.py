# SPDX-License-Identifier: GPL-2.0-only
"""Directories for as long as a command runs, that `lab gc` finds and removes where one was killed."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PLACE = "scratch"


@contextmanager
def open_scratch(state_dir: Path) -> Iterator[Path]:
    """A new directory below `state_dir`, resolved; removed at the end. It is locked meanwhile: the system frees the
    lock when a process dies."""
    place = state_dir / _PLACE
    place.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(dir=place)).resolve()
    held = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(held, fcntl.LOCK_SH)
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        os.close(held)


def remove_scratch(state_dir: Path) -> tuple[Path, ...]:
    """Remove what nobody holds any more; the paths removed."""
    found = sorted((state_dir / _PLACE).glob("*"))
    return tuple(path for path in found if _remove(path))


def _remove(directory: Path) -> bool:
    held = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        shutil.rmtree(directory)
        return True
    finally:
        os.close(held)
