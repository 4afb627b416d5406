# SPDX-License-Identifier: GPL-2.0-only
"""Directories of the lab."""

from __future__ import annotations

from pathlib import Path

from lab.places import find_places
from lab.run.records import LabRecords


def test_what_this_machine_gets_as_a_host_is_apart_from_the_labs_records(tmp_path: Path) -> None:
    places = find_places({"LAB_STATE_DIR": str(tmp_path)})
    own = LabRecords(places.state_dir).directory("lab1")
    assert places.local_store / "labs" / "lab1" != own
    assert places.local_store not in own.parents
