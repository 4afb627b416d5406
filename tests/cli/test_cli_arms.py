# SPDX-License-Identifier: GPL-2.0-only
"""Topologies with arms from end to end on a host in memory, whose guests share pCPUs evenly and without noise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli.driving import ROOT, Driver
from cli.test_cli_run import FakeWiring

from lab.errors import ExitCode


@pytest.fixture
def wiring(lab: Driver, tmp_path: Path) -> FakeWiring:
    lab.wiring = FakeWiring(tmp_path, lab.state_dir)
    return lab.wiring


@pytest.mark.parametrize(
    ("name", "noise"),
    [
        ("matrix-small", "No A/A: how much two equal arms differ was not measured"),
        ("aa", "A/A: 'aa' is equal to the baseline. It came out as the same"),
        ("planted", "A/A: 'aa' is equal to the baseline. It came out as the same"),
    ],
)
def test_shipped_topologies_with_arms_find_what_is_there(
    lab: Driver, wiring: FakeWiring, tmp_path: Path, name: str, noise: str
) -> None:
    done = lab("run", ROOT / f"topologies/{name}.yaml", "--record", tmp_path / "d", "--host", "nested")
    assert done.code == ExitCode.PASSED, done.out + done.err
    assert noise in done.out
    assert max(map(len, done.out.splitlines())) <= max(75, len(f"recording: {tmp_path / 'd'}"))
    assert lab("check", tmp_path / "d").out == done.out
    assert wiring.world.guests == {}


def test_expectations_are_judged_once_for_each_arm_and_target(
    lab: Driver, wiring: FakeWiring, tmp_path: Path
) -> None:
    done = lab("run", ROOT / "topologies/aa.yaml", "--record", tmp_path / "d", "--host", "nested", "--json")
    verdicts = [one for one in json.loads(done.out)["verdicts"] if one["expectation"].startswith("steal of")]
    assert len(verdicts) == 2 * 4
    assert {one["phase"] for one in verdicts} == {"contended.baseline", "contended.aa"}
    assert all(one["observed"].startswith("10 of 10 repeats: guest 50.0 %") for one in verdicts)


def test_a_plan_of_arms_says_what_and_how_long(lab: Driver) -> None:
    done = lab("plan", ROOT / "topologies/matrix-small.yaml", "--host", "nested")
    assert done.code == ExitCode.PASSED
    for part in (
        "feature-off: compared with baseline",
        "guests started anew 24 times",
        "once everything is built",
    ):
        assert part in done.out
