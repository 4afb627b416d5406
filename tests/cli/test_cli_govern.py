# SPDX-License-Identifier: GPL-2.0-only
"""`lab govern`: what may be asked for, and what a line of it says. What it does is tests/run's."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli.driving import Driver
from fakeworld import make_facts, make_plan, make_topology

from lab.cli.govern import plan_governs, render_decision
from lab.cli.running import RunningLab
from lab.errors import ExitCode, InputError
from lab.plan.labplan import GovernPlan
from lab.run.records import LabRecords

TEXT = "nodes: [{name: guest, count: 2, vcpus: 4}, {name: single}]\n"
SAID = {
    "source": "steal",
    "period": "1s",
    "by": "mask",
    "min_vcpus": 1,
    "high": None,
    "low": None,
    "policy": None,
}


@pytest.fixture
def running(tmp_path: Path) -> RunningLab:
    plan = make_plan(make_topology(TEXT), make_facts())
    records = LabRecords(tmp_path / "state")
    return RunningLab(records.create(plan, "/remote"), plan, tmp_path, {})


def test_nodes_are_governed_as_a_topology_would(running: RunningLab) -> None:
    assert plan_governs(running, ["guest2", "guest2"], False, SAID) == [
        GovernPlan("guest2", "steal", 4.0, 1.5, 10**9, "last", "mask", 1)
    ]
    said = {**SAID, "source": "host", "period": "250ms", "min_vcpus": 2}
    assert plan_governs(running, ["guest1"], False, said) == [
        GovernPlan("guest1", "host", None, None, 250_000_000, "last", "mask", 2)
    ]


@pytest.mark.parametrize(
    ("nodes", "every", "more", "message"),
    [
        ([], False, {}, "name nodes, or say --all"),
        (["guest1"], True, {}, "name nodes, or say --all"),
        (["gest1"], False, {}, "did you mean guest1?"),
        (["single"], False, {}, "single has one core only"),
        ([], True, {}, "single has one core only"),
        (["guest1"], False, {"high": "4"}, "--high: '4' "),
        (["guest1"], False, {"high": "1%"}, r"low \(1.5%\) is larger than high \(1%\)"),
        (["guest1"], False, {"source": "host", "low": "1%"}, "low is for source steal"),
        (["guest1"], False, {"source": "moon"}, "--source: "),
        (["guest1"], False, {"period": "1"}, "--period: "),
        (["guest1"], False, {"min_vcpus": 5}, "--min-vcpus is 5, but guest1 has 4"),
        (["guest1"], False, {"min_vcpus": 0}, "--min-vcpus: "),
    ],
)
def test_what_cannot_be_is_refused(
    running: RunningLab, nodes: list[str], every: bool, more: dict[str, str | int], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        plan_governs(running, nodes, every, {**SAID, **more})


def test_without_a_lab(lab: Driver) -> None:
    done = lab("govern", "guest1")
    assert done.code == ExitCode.BAD_INPUT and "no lab is up" in done.err


DATA = {
    "node": "guest1",
    "source": "steal",
    "action": "step-down",
    "bound": False,
    "seen_pct": 50.04,
    "high_pct": 4.0,
    "low_pct": 1.5,
    "before": "",
    "after": "2-3",
    "write_ns": 210_000_000,
}


def test_lines() -> None:
    assert render_decision(12.34, DATA) == (
        "    12.3 s  guest1           step-down  steal  50.0 % (1.5 % .. 4 %)  "
        "folded none -> 2-3, written in 0.21 s"
    )
    hold = {**DATA, "action": "hold", "before": "3", "after": "3", "seen_pct": 2.0}
    assert render_decision(0, hold) == (
        "     0.0 s  guest1           hold       steal   2.0 % (1.5 % .. 4 %)  folded 3"
    )
    assert render_decision(0, {**hold, "bound": True}).endswith("folded 3, no core left for a step")
    hint = {**DATA, "source": "host", "high_pct": None, "low_pct": None, "action": "move", "seen_pct": 199.6}
    assert "move       wants   200 % of a vCPU  folded none -> 2-3" in render_decision(0, hint)
