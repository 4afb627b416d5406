# SPDX-License-Identifier: GPL-2.0-only
"""Throughput, affinity, host share, preemptions, and what they come to together."""

from __future__ import annotations

from dataclasses import replace

import pytest
from judging import (
    VCPUS,
    WINDOW_NS,
    expect_steal,
    make_measurements,
    make_plan,
    make_vcpu,
    only_verdict,
    with_phase_doubt,
    with_vcpu,
)

from lab.errors import ExitCode
from lab.judge.evaluate import judge
from lab.judge.exitcode import exit_code_for
from lab.judge.verdict import Judgement, Outcome, Verdict
from lab.measure.windows import TaskAffinity
from lab.plan.labplan import ExpectationPlan

WELL = make_measurements()
THROUGHPUT = ExpectationPlan("throughput", "work", phases=("folded", "contended"), load="busy", minimum=0.95)
AFFINITY = ExpectationPlan("affinity_unchanged", "affinity", load="busy")
SHARE = ExpectationPlan(
    "host_share", "share", (("guest2", -1),), ("contended",), reference="guest1", minimum=0.9, maximum=1.1
)
PREEMPTIONS = ExpectationPlan(
    "preemptions",
    "preempted",
    (("guest1", 0),),
    ("contended",),
    counter="kvm_preemption_reported",
    maximum=150,
)


def working(work: dict[str, tuple[int, int]]):
    """Measurements in which task i of every guest did work[phase][i]."""
    tasks = tuple(replace(task, work=work[task.phase][task.task]) for task in WELL.tasks)
    return replace(WELL, tasks=tasks)


def test_a_doubt_about_work_alone_leaves_steal_judged():
    phases = tuple(replace(window, work_doubts=("waited outside",)) for window in WELL.phases)
    measurements = replace(WELL, phases=phases)
    verdict = only_verdict(THROUGHPUT, measurements)
    assert (verdict.outcome, verdict.reason) == (Outcome.UNDECIDED, "waited outside")
    assert only_verdict(expect_steal(40, 60), measurements).outcome is Outcome.PASSED


def test_throughput_is_summed_over_guests_and_tasks():
    verdict = only_verdict(THROUGHPUT, working({"folded": (5900, 5900), "contended": (6000, 6000)}))
    assert verdict.outcome is Outcome.PASSED
    assert verdict.observed == "0.98 (1180.0/s over 1200.0/s)"
    assert (verdict.subject, verdict.phase) == ("load busy", "folded")


def test_throughput_goes_by_each_tasks_own_clock():
    longer = tuple(
        replace(task, elapsed_ns=2 * WINDOW_NS, work=2 * task.work) if task.phase == "folded" else task
        for task in WELL.tasks
    )
    assert only_verdict(THROUGHPUT, replace(WELL, tasks=longer)).observed == "1.00 (1200.0/s over 1200.0/s)"


def test_throughput_out_of_bounds_fails_with_enough_digits():
    verdict = only_verdict(THROUGHPUT, working({"folded": (5699, 5699), "contended": (6000, 6000)}))
    assert verdict.outcome is Outcome.FAILED
    assert verdict.observed.startswith("0.95 ")
    assert verdict.reason == "0.9498333 is below the 0.95 required"


def test_a_task_that_did_no_work_is_always_mentioned():
    verdict = only_verdict(THROUGHPUT, working({"folded": (0, 12000), "contended": (6000, 6000)}))
    assert verdict.outcome is Outcome.PASSED
    assert "no work was done by busy task 0 on guest1, busy task 0 on guest2" in verdict.observed


def test_no_work_in_the_baseline_is_no_ratio():
    verdict = only_verdict(THROUGHPUT, working({"folded": (1, 1), "contended": (0, 0)}))
    assert (verdict.outcome, verdict.reason) == (Outcome.UNDECIDED, "no work was done in phase contended")


@pytest.mark.parametrize("phase", ["folded", "contended"])
def test_a_doubt_about_either_phase_makes_throughput_undecided(phase):
    verdict = only_verdict(THROUGHPUT, with_phase_doubt(WELL, phase, "too short"))
    assert (verdict.outcome, verdict.reason) == (Outcome.UNDECIDED, "too short")


def test_a_sum_over_fewer_tasks_is_not_compared():
    verdict = only_verdict(THROUGHPUT, replace(WELL, tasks=WELL.tasks[:-1]))
    assert verdict.outcome is Outcome.UNDECIDED
    assert verdict.reason == "busy task 1 on guest2 was not seen in phase folded"


def test_throughput_without_any_task():
    verdict = only_verdict(THROUGHPUT, replace(WELL, tasks=()))
    assert verdict.outcome is Outcome.UNDECIDED
    assert (
        verdict.reason
        == "no task of busy was seen in phase folded; no task of busy was seen in phase contended"
    )


def test_throughput_of_a_phase_that_was_not_measured():
    verdict = only_verdict(THROUGHPUT, replace(WELL, phases=WELL.phases[:1], tasks=WELL.tasks[:4]))
    assert (verdict.outcome, verdict.reason) == (Outcome.UNDECIDED, "phase folded was not measured")


def test_affinity_unchanged():
    verdict = only_verdict(AFFINITY, WELL)
    assert (verdict.outcome, verdict.observed) == (Outcome.PASSED, "4 of 4 tasks unchanged")
    assert (verdict.subject, verdict.phase) == ("load busy", "")


def test_a_changed_affinity_fails_and_is_shown():
    changed = (*WELL.affinities[:3], TaskAffinity("guest2", "busy", 1, ("0-1", "0", "0-1")))
    verdict = only_verdict(AFFINITY, replace(WELL, affinities=changed))
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, "task 1 on guest2: 0-1 -> 0 -> 0-1")
    assert verdict.observed == "3 of 4 tasks unchanged"


def test_a_task_that_was_never_seen_leaves_affinity_undecided():
    verdict = only_verdict(AFFINITY, replace(WELL, affinities=WELL.affinities[1:]))
    assert (verdict.outcome, verdict.reason) == (Outcome.UNDECIDED, "never seen: task 0 on guest1")


@pytest.mark.parametrize("affinities", [(), (TaskAffinity("guest1", "other", 0, ("0", "1")),)])
def test_no_task_of_the_load_leaves_affinity_undecided(affinities):
    verdict = only_verdict(AFFINITY, replace(WELL, affinities=affinities))
    assert (verdict.outcome, verdict.observed) == (Outcome.UNDECIDED, "nothing")


def test_host_share_over_the_reference():
    verdict = only_verdict(SHARE, WELL)
    assert verdict.outcome is Outcome.PASSED
    assert verdict.observed == "1.00 (0.998 pCPUs over 0.998)"


def test_host_share_out_of_bounds_fails():
    starved = with_vcpu(WELL, make_vcpu("guest2", 1, guest_pct=90, host_pct=90))
    verdict = only_verdict(SHARE, starved)
    assert verdict.outcome is Outcome.FAILED
    assert "is below the 0.9 required" in verdict.reason


def test_the_reference_is_not_compared_with_itself():
    verdict = only_verdict(replace(SHARE, targets=(("guest1", -1),)), WELL)
    assert (verdict.outcome, verdict.reason) == (Outcome.SKIPPED, "guest1 is the reference itself")


@pytest.mark.parametrize("node", ["guest1", "guest2"])
def test_host_share_needs_every_vcpu_of_both_guests(node):
    unseen = with_vcpu(WELL, replace(make_vcpu(node, 1), host_run_ns=None))
    verdict = only_verdict(SHARE, unseen)
    assert verdict.outcome is Outcome.UNDECIDED
    assert verdict.reason == f"the run time of {node} vcpu 1 on the host was not seen"
    gone = tuple(window for window in WELL.vcpus if (window.node, window.vcpu) != (node, 1))
    assert only_verdict(SHARE, replace(WELL, vcpus=gone)).outcome is Outcome.UNDECIDED


def test_host_share_of_a_reference_that_did_not_run():
    idle = WELL
    for vcpu in (0, 1):
        idle = with_vcpu(idle, replace(make_vcpu("guest1", vcpu), host_run_ns=0))
    verdict = only_verdict(SHARE, idle)
    assert (verdict.outcome, verdict.reason) == (Outcome.UNDECIDED, "guest1 did not run in phase contended")


def test_host_share_with_a_doubt():
    verdict = only_verdict(SHARE, with_phase_doubt(WELL, "contended", "host disturbed"))
    assert (verdict.outcome, verdict.reason) == (Outcome.UNDECIDED, "host disturbed")


@pytest.mark.parametrize(
    ("counter", "observed"),
    [
        ("kvm_preemption_reported", "100.0/s (20.0 s)"),
        ("kvm_preemption_other", "20.0/s (20.0 s)"),
        ("involuntary_switches", "120.0/s (20.0 s)"),
        ("slices", "250.0/s (20.0 s)"),
    ],
)
def test_preemptions_are_per_second(counter, observed):
    verdict = only_verdict(replace(PREEMPTIONS, counter=counter, maximum=300), WELL)
    assert (verdict.outcome, verdict.observed) == (Outcome.PASSED, observed)


def test_too_many_preemptions_fail():
    verdict = only_verdict(replace(PREEMPTIONS, maximum=99), WELL)
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, "100/s is above the 99/s allowed")


def test_a_statistic_that_this_kvm_has_not_is_skipped_for_every_target():
    without = replace(WELL, vcpus=tuple(replace(w, kvm_preemption_reported=None) for w in WELL.vcpus))
    verdicts = judge(make_plan(replace(PREEMPTIONS, targets=VCPUS)), without).verdicts
    assert [verdict.outcome for verdict in verdicts] == [Outcome.SKIPPED] * 4
    assert verdicts[0].reason == "this host's KVM has no statistic preemption_reported"


def test_a_statistic_missing_in_one_window_only_is_undecided():
    without = with_vcpu(WELL, replace(make_vcpu(), kvm_preemption_reported=None))
    verdict = only_verdict(PREEMPTIONS, without)
    assert verdict.outcome is Outcome.UNDECIDED
    assert verdict.reason == "kvm_preemption_reported was not seen in this window"


def test_switches_that_nobody_counted_are_undecided_since_every_host_has_them():
    without = replace(WELL, vcpus=tuple(replace(w, involuntary_switches=None) for w in WELL.vcpus))
    assert (
        only_verdict(replace(PREEMPTIONS, counter="involuntary_switches"), without).outcome
        is Outcome.UNDECIDED
    )


def test_no_window_at_all_is_no_proof_that_kvm_lacks_a_statistic():
    verdict = only_verdict(PREEMPTIONS, replace(WELL, phases=(), vcpus=()))
    assert (verdict.outcome, verdict.reason) == (Outcome.UNDECIDED, "phase contended was not measured")


def test_verdicts_come_in_the_order_of_the_expectations():
    judgement = judge(make_plan(AFFINITY, THROUGHPUT, expect_steal(40, 60)), WELL)
    assert [verdict.expectation for verdict in judgement.verdicts] == ["affinity", "work", "steal"]
    assert judgement.outcome is Outcome.PASSED


def test_nothing_expected_is_skipped():
    assert judge(make_plan(), WELL).outcome is Outcome.SKIPPED


@pytest.mark.parametrize(
    ("outcomes", "whole", "code"),
    [
        ((), Outcome.SKIPPED, ExitCode.PASSED),
        ((Outcome.SKIPPED,), Outcome.SKIPPED, ExitCode.PASSED),
        ((Outcome.SKIPPED, Outcome.PASSED), Outcome.PASSED, ExitCode.PASSED),
        ((Outcome.PASSED, Outcome.UNDECIDED), Outcome.UNDECIDED, ExitCode.UNDECIDED),
        ((Outcome.UNDECIDED, Outcome.FAILED, Outcome.PASSED), Outcome.FAILED, ExitCode.FAILED),
    ],
)
def test_outcome_of_the_whole_and_its_exit_code(outcomes, whole, code):
    judgement = Judgement(tuple(Verdict(outcome, "e", "s", "p", "o") for outcome in outcomes))
    assert judgement.outcome is whole
    assert exit_code_for(judgement.outcome) is code


def test_every_outcome_has_an_exit_code():
    assert {exit_code_for(outcome) for outcome in Outcome} == {
        ExitCode.PASSED,
        ExitCode.FAILED,
        ExitCode.UNDECIDED,
    }
