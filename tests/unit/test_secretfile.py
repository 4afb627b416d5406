# SPDX-License-Identifier: GPL-2.0-only
"""Secrets stay their owner's, whatever was there and whatever the umask."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from lab.secretfile import write_secret


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_new_file_and_an_old_one_are_the_owners_alone(tmp_path: Path, umask: int) -> None:
    old = tmp_path / "old"
    old.write_text("open to all")
    old.chmod(0o666)
    before = os.umask(umask)
    try:
        for path in (tmp_path / "new", old):
            write_secret(path, b"secret")
    finally:
        os.umask(before)
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}
    assert old.read_bytes() == b"secret"
