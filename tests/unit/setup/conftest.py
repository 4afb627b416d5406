# SPDX-License-Identifier: GPL-2.0-only
"""Fixtures of the set-up's tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from setup_machine import Machine


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine on which nothing was set up."""
    return Machine(tmp_path)


@pytest.fixture
def ready(machine: Machine) -> Machine:
    """A machine that is set up; what that called is forgotten."""
    assert machine.setup().returncode == 0
    machine.install_venv_programs()
    machine.calls()
    return machine
