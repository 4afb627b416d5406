# SPDX-License-Identifier: GPL-2.0-only
"""Files that nobody but their owner can ever read."""

from __future__ import annotations

from pathlib import Path


def write_secret(path: Path, data: bytes) -> None:
    """Write `data` to `path`, readable and writable by its owner only, also where it was there before."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_bytes(data)
