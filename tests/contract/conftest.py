# SPDX-License-Identifier: GPL-2.0-only
"""Servers and programs that the real adapters need."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from contract.loopback_sshd import SSHD, Sshd, open_sshd

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A real ssh server on loopback."""
    if SSHD is None:
        pytest.skip("sshd is not installed: apt-get install openssh-server")
    with open_sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture(scope="session")
def pvprobe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real probe, compiled."""
    out = tmp_path_factory.mktemp("probe")
    argv = ["make", "-C", str(ROOT / "images/probe"), f"OUT={out}", str(out / "pvprobe")]
    subprocess.run(argv, check=True, timeout=120, stdout=subprocess.DEVNULL)
    return out / "pvprobe"
