# SPDX-License-Identifier: GPL-2.0-only
"""A sweep on real guests: its index has what its recordings say, and what is finished is not run again."""

from __future__ import annotations

from pathlib import Path

import pytest
from e2e_lab import call

from lab.run.sweepindex import open_index
from lab.sweep.outcome import RunOutcome

SWEEP = Path(__file__).parent / "data/sweep.yaml"


def steal_pct(outcome: RunOutcome) -> float:
    (row,) = [row for row in outcome.metrics if row.metric == "steal"]
    return row.value


@pytest.mark.long
def test_a_sweep_over_the_number_of_guests(tmp_path: Path) -> None:
    first = call("sweep", SWEEP, "-o", tmp_path)
    assert first.status == 0, first.out + first.err
    assert "2 runs, 0 of them found done, 0 failed" in first.err
    with open_index(tmp_path, to_run=False) as index:
        alone, sharing = index.all()
    assert {alone.status, sharing.status} == {"finished"}
    assert steal_pct(alone) < 10
    assert 35 < steal_pct(sharing) < 65
    again = call("sweep", SWEEP, "-o", tmp_path, "--table", "steal")
    assert "2 runs, 2 of them found done, 0 failed" in again.err
    assert "contended:steal, %, mean" in again.out
    for outcome in (alone, sharing):
        checked = call("check", tmp_path / outcome.recording)
        assert "Phase contended" in checked.out, checked.out + checked.err
