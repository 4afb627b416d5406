# SPDX-License-Identifier: GPL-2.0-only
"""Arms on real guests: kernels are switched, folds undone, and the same comes out when it is run again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from e2e_lab import ROOT, call, run_until_decided

from lab.plan.restarts import plan_restarts
from lab.recording import Recording

ARMS = Path(__file__).parent / "data/arms.yaml"


def test_arms_switch_kernels_and_folds(tmp_path: Path) -> None:
    done, directory = run_until_decided(ARMS, tmp_path, "--json")
    assert done.status == 0, done.out + done.err
    recording = Recording(directory)
    plan = recording.plan()
    restarts = [one.data for one in recording.events() if one.kind == "restart"]
    planned = [(one.node, one.kernel) for each in plan_restarts(plan) for one in each]
    assert [(one["node"], one["kernel"]) for one in restarts] == planned
    assert {node for node, _ in planned} == {"guest1", "guest2"}
    steal = {
        phase.name: [
            one["guest_steal_pct"] for one in json.loads(done.out)["vcpus"] if one["phase"] == phase.name
        ]
        for phase in plan.phases
    }
    for phase in plan.phases:
        folded = phase.arm == "folded"
        assert all(pct < 12 if folded else pct > 30 for pct in steal[phase.name]), (phase.name, steal)


# ---- what takes many minutes: `make test-arms`


def compared(document: str) -> list[tuple[str, str]]:
    """(what was expected, how it came out) of every expectation that compares arms."""
    verdicts = json.loads(document)["verdicts"]
    return [
        (one["expectation"], one["outcome"]) for one in verdicts if "against baseline" in one["expectation"]
    ]


def run_long(name: str, directory: Path) -> Any:
    directory.mkdir()
    done, recording = run_until_decided(ROOT / f"topologies/{name}.yaml", directory, "--json")
    assert done.status == 0, done.out + done.err
    assert call("check", recording, "--json").status == 0
    return done


@pytest.mark.arms
def test_the_matrix_comes_out_the_same_twice(tmp_path: Path) -> None:
    first, second = (run_long("matrix-small", tmp_path / name) for name in ("first", "second"))
    assert compared(first.out) == compared(second.out)
    assert len(compared(first.out)) == 4


@pytest.mark.arms
@pytest.mark.parametrize("name", ["aa", "planted"])
def test_noise_is_no_change_and_a_planted_change_is_one(name: str, tmp_path: Path) -> None:
    run_long(name, tmp_path / name)
