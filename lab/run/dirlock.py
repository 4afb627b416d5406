# SPDX-License-Identifier: GPL-2.0-only
"""A directory that one process at a time writes to."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.errors import InputError, LabFailure


@contextmanager
def directory_locked(directory: Path, lock_file: str, does: str) -> Iterator[None]:
    """While this is held, no other process holds it; the directory is made where there is none.

    Raises InputError where it cannot be used, LabFailure where another process holds it (and so `does` something).
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = (directory / lock_file).open("w")
    except OSError as error:
        raise InputError(f"{directory}: cannot be written: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LabFailure(f"{directory}: another process {does}") from None
        yield
