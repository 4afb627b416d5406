# SPDX-License-Identifier: GPL-2.0-only
"""Folds: time to effect as an expectation, affinity in a phase, and the table that compares mechanisms."""

from __future__ import annotations

from dataclasses import replace

import pytest
from judging import (
    NODES,
    WINDOW_NS,
    make_measurements,
    make_plan,
    make_vcpu,
    only_verdict,
    with_phase_doubt,
    with_vcpu,
)

from lab.judge.document import judgement_json
from lab.judge.evaluate import judge
from lab.judge.evidence import Evidence
from lab.judge.folds import Fold, find_folds
from lab.judge.foldtable import FOLD_WIDTH, render_fold_table
from lab.judge.table import render_phase_table
from lab.judge.verdict import Outcome
from lab.measure.windows import Folding, Measurements, PhaseWindow, TaskAffinity, TaskWindow
from lab.plan.labplan import ExpectationPlan

MS = 1_000_000
PHASES = ("contended", "folded", "after")
EFFECT = ExpectationPlan("fold_effect", "effect", (("guest1", -1),), ("folded",), maximum=500)
KEPT = ExpectationPlan("affinity_unchanged", "kept", phases=("folded",), load="busy")
CHANGED = ExpectationPlan("affinity_changed", "changed", phases=("folded",), load="busy")


def make_folding(
    node: str = "guest1", effect_ms: int | None = 150, *, by: str = "mask", doubts=()
) -> Folding:
    effect_ns = None if effect_ms is None else effect_ms * MS
    return Folding(
        node, (1,), by, "folded", "contended", "after", 0, WINDOW_NS, effect_ns, 110 * MS, tuple(doubts)
    )


def seen_with(phase: str, affinities: tuple[str, ...], work: int = 6000) -> tuple[TaskWindow, ...]:
    return tuple(
        TaskWindow(node, "busy", task, phase, WINDOW_NS, work, (task,), affinities)
        for node in NODES
        for task in (0, 1)
    )


def measured(
    *foldings: Folding, folded: tuple[str, ...] = ("0-1",), after: tuple[str, ...] = ("0-1",)
) -> Measurements:
    """Quickstart's measurements with a phase after, tasks seen with these affinities, and these folds."""
    well = make_measurements()
    return replace(
        well,
        phases=(*well.phases, PhaseWindow("after", 4 * WINDOW_NS, 5 * WINDOW_NS)),
        tasks=seen_with("contended", ("0-1",))
        + seen_with("folded", folded, 6120)
        + seen_with("after", after),
        affinities=tuple(TaskAffinity(node, "busy", task, ("0-1",)) for node in NODES for task in (0, 1)),
        foldings=foldings or (make_folding("guest1"), make_folding("guest2", 200)),
    )


def evidence_of(measurements: Measurements) -> Evidence:
    return Evidence(make_plan(phases=PHASES), measurements)


def only_fold(measurements: Measurements) -> Fold:
    (fold,) = find_folds(evidence_of(measurements))
    return fold


@pytest.mark.parametrize(
    ("effect_ms", "outcome", "observed"),
    [
        (150, Outcome.PASSED, "quiet after 150 ms"),
        (500, Outcome.PASSED, "quiet after 500 ms"),
        (501, Outcome.UNDECIDED, "quiet after 501 ms"),
        (610, Outcome.UNDECIDED, "quiet after 610 ms"),
        (611, Outcome.FAILED, "quiet after 611 ms"),
        (None, Outcome.FAILED, "not quiet within 20.0 s"),
    ],
)
def test_time_to_effect(effect_ms, outcome, observed):
    verdict = only_verdict(EFFECT, measured(make_folding(effect_ms=effect_ms)))
    assert (verdict.outcome, verdict.observed) == (outcome, observed)
    assert verdict.subject == "guest1 vcpu 1 by mask"


def test_a_bound_within_the_resolution_says_so():
    verdict = only_verdict(EFFECT, measured(make_folding(effect_ms=550)))
    assert verdict.reason == "on the bound: known within 110 ms only, 500 ms allowed"


def test_a_doubted_fold_is_undecided():
    verdict = only_verdict(EFFECT, measured(make_folding(effect_ms=None, doubts=("was idle before",))))
    assert (verdict.outcome, verdict.reason) == (Outcome.UNDECIDED, "was idle before")


def test_a_doubted_phase_makes_times_undecided():
    verdict = only_verdict(EFFECT, with_phase_doubt(measured(), "folded", "host disturbed: swap"))
    assert (verdict.outcome, verdict.reason) == (Outcome.UNDECIDED, "host disturbed: swap")


def test_no_fold_in_the_phase_is_undecided():
    verdict = only_verdict(EFFECT, measured(make_folding("guest2")))
    assert (verdict.outcome, verdict.reason) == (
        Outcome.UNDECIDED,
        "no fold of guest1 was recorded in folded",
    )


def test_affinity_kept_in_a_phase():
    verdict = only_verdict(KEPT, measured())
    assert (verdict.outcome, verdict.observed, verdict.phase) == (
        Outcome.PASSED,
        "4 of 4 tasks unchanged",
        "folded",
    )


def test_affinity_lost_in_a_phase():
    verdict = only_verdict(KEPT, measured(folded=("0",)))
    assert (verdict.outcome, verdict.observed) == (Outcome.FAILED, "0 of 4 tasks unchanged")
    assert verdict.reason.startswith("task 0 on guest1: 0-1 -> 0; ")


def test_affinity_lost_only_in_another_phase_does_not_matter():
    assert only_verdict(KEPT, measured(after=("0",))).outcome is Outcome.PASSED


def test_affinity_that_is_to_change():
    verdict = only_verdict(CHANGED, measured(folded=("0",)))
    assert (verdict.outcome, verdict.observed) == (Outcome.PASSED, "4 of 4 tasks changed: 0-1 -> 0")


def test_affinity_that_was_to_change_and_did_not():
    verdict = only_verdict(CHANGED, measured())
    assert (verdict.outcome, verdict.observed) == (Outcome.FAILED, "0 of 4 tasks changed")
    assert verdict.reason.startswith("task 0 on guest1: 0-1; ")


@pytest.mark.parametrize("expectation", [KEPT, CHANGED])
def test_a_mixture_is_neither_kept_nor_changed(expectation):
    tasks = tuple(
        replace(task, affinities=("0",)) if (task.node, task.phase) == ("guest2", "folded") else task
        for task in measured().tasks
    )
    assert only_verdict(expectation, replace(measured(), tasks=tasks)).outcome is Outcome.FAILED


@pytest.mark.parametrize("expectation", [KEPT, CHANGED])
def test_affinity_in_a_phase_without_the_tasks_is_undecided(expectation):
    verdict = only_verdict(expectation, replace(measured(), tasks=()))
    assert (verdict.outcome, verdict.observed) == (Outcome.UNDECIDED, "nothing")


def test_nodes_folded_alike_are_one_fold_and_the_slowest_counts():
    fold = only_fold(measured())
    assert (fold.phase, fold.mechanism, fold.nodes, fold.baseline) == ("folded", "mask", NODES, "contended")
    assert fold.effect_ns == 200 * MS


def test_steal_is_the_mean_over_the_vcpus_that_stay():
    changed = with_vcpu(measured(), make_vcpu("guest1", 0, "folded", guest_pct=2.3, host_pct=2.4))
    fold = only_fold(with_vcpu(changed, make_vcpu("guest1", 1, "folded", guest_pct=90, host_pct=90)))
    assert (fold.guest_steal_pct, fold.host_steal_pct) == (pytest.approx(1.3), pytest.approx(1.4))


def test_steal_that_was_not_seen_everywhere_is_none():
    fold = only_fold(with_vcpu(measured(), make_vcpu("guest1", 0, "folded", guest_pct=None)))
    assert (fold.guest_steal_pct, fold.host_steal_pct) == (None, pytest.approx(25.25))


def test_work_is_told_as_a_ratio_to_the_baseline():
    (load,) = only_fold(measured()).loads
    assert (load.load, load.ratio, load.work_doubts) == ("busy", pytest.approx(1.02), ())


def test_work_in_a_doubted_baseline_is_doubted():
    (load,) = only_fold(with_phase_doubt(measured(), "contended", "too short")).loads
    assert load.work_doubts == ("too short",)


def test_mechanisms_in_one_phase_are_told_apart():
    folds = find_folds(evidence_of(measured(make_folding(), make_folding("guest2", by="hotplug"))))
    assert [(fold.mechanism, fold.nodes) for fold in folds] == [
        ("mask", ("guest1",)),
        ("hotplug", ("guest2",)),
    ]


def test_the_table():
    table = render_fold_table(evidence_of(measured(folded=("0",))))
    assert table.splitlines()[:4] == [
        "Folding",
        "                    - steal, %-            - affinity",
        "  phase  by      ms guest  host load ratio kept after nodes",
        "  folded mask   200   0.3   0.4 busy  1.02 no   yes   all",
    ]


def test_the_table_says_never_and_gives_doubts():
    never = render_fold_table(evidence_of(measured(make_folding(effect_ms=None))))
    assert "never" in never
    doubted = render_fold_table(evidence_of(measured(make_folding(effect_ms=None, doubts=("was idle",)))))
    assert "never" not in doubted
    assert "  ! folded: was idle" in doubted.splitlines()


def test_no_fold_no_table():
    assert render_fold_table(evidence_of(make_measurements())) == ""


def test_the_table_stays_narrow():
    long = measured(
        *(replace(make_folding(node), mechanism="preferred", phase="x" * 31) for node in NODES[:1])
    )
    lines = render_fold_table(evidence_of(long)).splitlines()
    assert max(map(len, lines[:4])) <= FOLD_WIDTH


def test_the_document_has_them():
    plan, measurements = make_plan(phases=PHASES), measured(folded=("0",))
    (fold,) = judgement_json(plan, measurements, judge(plan, measurements))["foldings"]
    assert (fold["by"], fold["effect_ns"], [node["vcpus"] for node in fold["nodes"]]) == (
        "mask",
        200 * MS,
        [[1], [1]],
    )
    (load,) = fold["loads"]
    assert (load["affinity_kept"], load["affinity_kept_after"]) == (False, True)


@pytest.mark.parametrize(
    ("effect_ms", "outcome"),
    [(150, Outcome.PASSED), (700, Outcome.UNDECIDED), (None, Outcome.UNDECIDED)],
)
def test_waits_outside_only_make_times_longer(effect_ms, outcome):
    well = measured(make_folding(effect_ms=effect_ms))
    phases = tuple(replace(window, work_doubts=("waited outside",)) for window in well.phases)
    assert only_verdict(EFFECT, replace(well, phases=phases)).outcome is outcome


def test_the_table_says_when_a_ratio_does_not_count():
    table = render_fold_table(evidence_of(with_phase_doubt(measured(), "contended", "too short")))
    assert "! folded: the ratio of busy does not count; see phases contended and folded" in " ".join(
        table.split()
    )


def lacking(phase: str) -> Measurements:
    """Measurements of a kernel that lacks what `phase` was to set."""
    well = measured()
    phases = tuple(
        replace(window, skipped=("guest1 has no avoid_cpus",)) if window.phase == phase else window
        for window in well.phases
    )
    return replace(well, phases=phases)


@pytest.mark.parametrize(
    ("expectation", "phase", "outcome"),
    [
        (EFFECT, "folded", Outcome.SKIPPED),
        (KEPT, "folded", Outcome.SKIPPED),
        (CHANGED, "folded", Outcome.SKIPPED),
        (KEPT, "contended", Outcome.PASSED),
        (
            ExpectationPlan("throughput", "w", (), ("after", "folded"), load="busy", minimum=9),
            "folded",
            Outcome.SKIPPED,
        ),
        (ExpectationPlan("affinity_unchanged", "ever", load="busy"), "folded", Outcome.PASSED),
    ],
)
def test_what_is_judged_in_a_phase_without_its_knob_is_skipped(expectation, phase, outcome):
    verdict = only_verdict(expectation, lacking(phase))
    assert verdict.outcome is outcome
    assert verdict.reason == ("guest1 has no avoid_cpus" if outcome is Outcome.SKIPPED else "")


def test_the_phases_table_says_what_was_skipped():
    text = render_phase_table(make_plan(phases=PHASES), lacking("folded"))
    assert "  ! skipped: guest1 has no avoid_cpus" in text.splitlines()


def test_a_doubted_ratio_has_a_question_mark():
    doubted = with_phase_doubt(measured(), "contended", "too short")
    assert "1.02?" in render_fold_table(evidence_of(doubted))
    assert "?" not in render_fold_table(evidence_of(measured()))
