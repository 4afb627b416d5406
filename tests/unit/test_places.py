# SPDX-License-Identifier: GPL-2.0-only
"""Directories of the lab."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.places import find_places
from lab.run.records import LabRecords


def test_what_this_machine_gets_as_a_host_is_apart_from_the_labs_records(tmp_path: Path) -> None:
    places = find_places({"LAB_STATE_DIR": str(tmp_path)})
    own = LabRecords(places.state_dir).directory("lab1")
    assert places.local_store / "labs" / "lab1" != own
    assert places.local_store not in own.parents


@pytest.fixture
def _private_umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.usefixtures("_private_umask")
def test_qemu_can_pass_through_what_is_made_whatever_the_umask(tmp_path: Path) -> None:
    places = find_places({"LAB_STATE_DIR": str(tmp_path / "state")})
    places.make_passable()
    modes = {path.stat().st_mode & 0o777 for path in (places.state_dir, places.host_vm, places.local_store)}
    assert modes == {0o711}


def test_a_directory_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    find_places({"LAB_STATE_DIR": str(state)}).make_passable()
    assert state.stat().st_mode & 0o777 == 0o700
