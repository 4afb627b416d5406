# SPDX-License-Identifier: GPL-2.0-only
"""Seen steal against what was predicted: of busy vCPUs, on both sides, phase by phase."""

from __future__ import annotations

from dataclasses import replace

import pytest
from judging import NODES, PHASES, VCPUS, make_measurements, make_plan, make_vcpu, with_vcpu

from lab.judge.evaluate import judge
from lab.judge.table import render_phase_table
from lab.judge.verdict import Outcome, Verdict
from lab.measure.windows import Measurements
from lab.plan.labplan import ExpectationPlan, LabPlan, PredictedSteal

WELL = make_measurements()
EXPECTED = ExpectationPlan("prediction", "predicted", VCPUS, PHASES, maximum=5.0)


def planned(
    contended: tuple[float | None, ...] = (50.0, 50.0, 50.0, 50.0),
    folded: tuple[float | None, ...] | None = (),
) -> LabPlan:
    """A plan that predicts so for all vCPUs of the two phases: empty for nothing, None for an older plan."""
    plan = make_plan(EXPECTED)
    found = [
        None
        if steals is None
        else tuple(PredictedSteal(*vcpu, steal) for vcpu, steal in zip(VCPUS, steals, strict=False))
        for steals in (contended, folded)
    ]
    phases = zip(plan.phases, found, strict=True)
    return replace(plan, phases=tuple(replace(phase, predicted=each) for phase, each in phases))


def verdicts(plan: LabPlan, measured: Measurements) -> list[Verdict]:
    return list(judge(plan, measured).verdicts)


def first(guest_pct: float | None, host_pct: float | None, *doubts: str) -> Verdict:
    """The verdict about the first vCPU, seen so in the first phase."""
    return verdicts(
        planned(), with_vcpu(WELL, make_vcpu(guest_pct=guest_pct, host_pct=host_pct, doubts=doubts))
    )[0]


def test_only_busy_vcpus_of_predicted_phases_are_judged() -> None:
    found = verdicts(planned((50.0, None, 50.0, None), (None,) * 4), WELL)
    assert [(one.subject, one.phase) for one in found] == [(f"{node} vcpu 0", "contended") for node in NODES]
    assert {one.outcome for one in found} == {Outcome.PASSED}
    assert verdicts(planned((None,) * 4, (None,) * 4), WELL) == []


def test_where_a_governor_decides_nothing_is_judged_and_that_is_said() -> None:
    last = verdicts(planned(folded=()), WELL)[-1]
    assert (last.outcome, last.subject, last.phase) == (Outcome.SKIPPED, "every vCPU", "folded")
    assert last.reason == "a governor decides which vCPUs are used"


@pytest.mark.parametrize(
    ("guest_pct", "host_pct", "outcome", "reason"),
    [
        (54.9, 54.0, Outcome.PASSED, ""),
        (45.1, 46.0, Outcome.PASSED, ""),
        (
            56.0,
            56.1,
            Outcome.FAILED,
            "guest 6.00 % and host 6.10 % apart from what was predicted: both more than 5 %",
        ),
        (
            44.0,
            43.9,
            Outcome.FAILED,
            "guest 6.00 % and host 6.10 % apart from what was predicted: both more than 5 %",
        ),
        (55.1, 54.9, Outcome.UNDECIDED, "on the bound"),
        (None, 50.0, Outcome.UNDECIDED, "the guest's steal column was not seen"),
    ],
)
def test_both_sides_are_to_be_as_near(
    guest_pct: float | None, host_pct: float | None, outcome: Outcome, reason: str
) -> None:
    verdict = first(guest_pct, host_pct)
    assert verdict.outcome is outcome
    assert reason in verdict.reason and bool(reason) == bool(verdict.reason)
    assert verdict.observed.startswith("predicted 50.0 %, guest ")


def test_a_doubted_window_decides_nothing() -> None:
    verdict = first(99.0, 99.0, "host disturbed")
    assert verdict.outcome is Outcome.UNDECIDED and "host disturbed" in verdict.reason


def test_older_plans_are_judged_by_their_one_prediction() -> None:
    found = verdicts(planned(folded=None), WELL)
    assert len(found) == 8 and {one.phase for one in found} == set(PHASES)


def test_the_table_has_the_phases_own_prediction() -> None:
    table = render_phase_table(planned((50.0, None, 12.5, 0.0), ()), WELL)
    rows = [line.split()[3] for line in table.splitlines() if line.startswith("  guest") and "->" not in line]
    assert rows[:4] == ["50.0", "-", "12.5", "0.0"]
    assert rows[4:8] == ["-"] * 4
