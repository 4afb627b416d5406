# SPDX-License-Identifier: GPL-2.0-only
"""The governors outside of the guests, on real ones: topologies/governor.yaml, and what its recording says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from e2e_lab import ROOT, call, run_until_decided

from lab.units import parse_cpulist

pytestmark = pytest.mark.long

GUESTS = ("guest1", "guest2")
#: A write goes through a guest whose vCPUs wait for three quarters of their time.
WRITTEN_WITHIN_S = 5


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the topology that was decided and passed."""
    done, recording = run_until_decided(
        ROOT / "topologies/governor.yaml", tmp_path_factory.mktemp("governor")
    )
    assert done.status == 0, done.out + done.err
    return recording


@pytest.fixture(scope="module")
def document(recording: Path) -> dict[str, Any]:
    """What is measured in it."""
    return dict(json.loads(call("check", recording, "--json").out))


def decisions(document: dict[str, Any], phase: str, node: str) -> list[dict[str, Any]]:
    return [one for one in document["decisions"] if (one["phase"], one["node"]) == (phase, node)]


def steps(document: dict[str, Any], phase: str, node: str) -> list[str]:
    return [one["action"] for one in decisions(document, phase, node) if one["action"] != "hold"]


@pytest.mark.parametrize("node", GUESTS)
def test_under_contention_it_steps_down_and_stays_between_the_thresholds(
    document: dict[str, Any], node: str
) -> None:
    assert steps(document, "by-steal", node) == ["step-down", "step-down"]
    made = decisions(document, "by-steal", node)
    assert made[-1]["after"] == [2, 3]
    at_rest = made[[one["action"] for one in made].index("hold") :]
    assert len(at_rest) >= 5
    assert all(one["low_pct"] < one["seen_pct"] <= one["high_pct"] for one in at_rest)


def test_when_contention_ends_it_steps_up(document: dict[str, Any]) -> None:
    assert steps(document, "alone", "guest1") == ["step-up"]
    assert steps(document, "alone", "guest2") == ["step-up", "step-up"]


def test_what_it_saw_is_what_was_recorded_on_both_sides(document: dict[str, Any]) -> None:
    made = [one for one in document["decisions"] if one["source"] == "steal"]
    assert len(made) >= 30
    assert all(abs(one["seen_pct"] - one["guest_pct"]) < 0.01 for one in made)
    assert all(abs(one["guest_pct"] - one["host_pct"]) < 6 for one in made)


def test_the_hint_leaves_one_busy_vcpu_on_each_pcpu(document: dict[str, Any]) -> None:
    used = [set(range(4)) - set(decisions(document, "by-host", node)[-1]["after"]) for node in GUESTS]
    assert [len(one) for one in used] == [1, 1]
    assert {vcpu % 2 for one in used for vcpu in one} == {0, 1}


def test_the_hint_ends_the_waiting_that_steal_could_not_end(document: dict[str, Any]) -> None:
    def stolen(phase: str) -> float:
        return sum(float(one["guest_steal_pct"]) for one in document["vcpus"] if one["phase"] == phase)

    assert stolen("contended") > 500 and stolen("by-steal") > 150
    assert stolen("by-host") < stolen("by-steal") / 4


def test_every_step_is_seen_in_the_guests_mask_soon(document: dict[str, Any]) -> None:
    changes = document["file_changes"]
    for one in document["decisions"]:
        if one["before"] == one["after"]:
            continue
        seen = [
            change
            for change in changes
            if change["node"] == one["node"]
            and change["by_ns"] >= one["t_ns"]
            and change["after_ns"] <= one["t_ns"] + WRITTEN_WITHIN_S * 10**9
        ]
        assert seen and list(parse_cpulist(seen[0]["new"])) == one["after"]
    assert [[change["new"] for change in changes if change["node"] == node][-1] for node in GUESTS] == [
        "",
        "",
    ], "what was folded was not taken back at the end"
