# SPDX-License-Identifier: GPL-2.0-only
"""Every test of the command has directories of its own."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from cli.driving import Driver


@pytest.fixture
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state directory, which does not exist yet."""
    state = tmp_path / "state"
    monkeypatch.setenv("LAB_STATE_DIR", str(state))
    monkeypatch.setenv("LAB_CACHE_DIR", str(tmp_path / "cache"))
    return state


@pytest.fixture
def lab(state_dir: Path, capsys: pytest.CaptureFixture[str]) -> Driver:
    """`lab` in this process."""
    return Driver(state_dir, capsys)


@pytest.fixture
def quickstart(tmp_path: Path) -> Path:
    """A real recording, unpacked."""
    with tarfile.open(Path(__file__).parents[1] / "data/recordings/quickstart.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "quickstart"
