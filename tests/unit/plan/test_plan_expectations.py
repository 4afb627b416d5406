# SPDX-License-Identifier: GPL-2.0-only
"""Expectations: resolved targets and their one line of text."""

from __future__ import annotations

import pytest
from planning import plan

from lab.plan.labplan import ExpectationPlan

LAB = """\
nodes: [{name: guest, count: 2, vcpus: 2}, {name: big, vcpus: 4}]
load: [{name: busy, tasks: 2}]
phases:
  - {name: first, start: [busy], duration: 10s, trace: [sched, guest]}
  - {name: second, duration: 10s, fold: [{nodes: "guest*", vcpus: 1, by: mask}]}
"""
GUESTS = (("guest1", 0), ("guest1", 1), ("guest2", 0), ("guest2", 1))


def expectation(text: str) -> ExpectationPlan:
    (made,) = plan(f"{LAB}expect: [{{{text}}}]\n").expectations
    return made


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("steal: {phase: first, min: 40%, max: 60%}", "steal of every vCPU in first: 40 % .. 60 %"),
        (
            "steal: {nodes: guest1, vcpus: 0, phase: first, max: 2.5%}",
            "steal of guest1 vCPU 0 in first: <= 2.5 %",
        ),
        ("steal: {nodes: 'g*', phase: first, min: 40%}", "steal of every vCPU of g* in first: >= 40 %"),
        (
            "agreement: {max: 2%}",
            "guest steal against host run delay of every vCPU in every phase: <= 2 % of the window",
        ),
        (
            "throughput: {load: busy, phase: second, baseline: first, min: 0.95}",
            "work of busy in second over first: >= 0.95",
        ),
        ("affinity_unchanged: {load: busy}", "affinity of busy from start to end: unchanged"),
        ("affinity_unchanged: {load: busy, phase: second}", "affinity of busy in second: unchanged"),
        ("affinity: {load: busy, phase: second}", "affinity of busy in second: unchanged"),
        ("affinity: {load: busy, phase: second, unchanged: false}", "affinity of busy in second: changed"),
        (
            "fold_effect: {nodes: 'guest*', phase: second, max: 1.5s}",
            "time until folded vCPUs of guest* are quiet in second: <= 1500 ms",
        ),
        (
            "host_share: {nodes: 'guest*', phase: first, of: big, min: 0.9, max: 1.1}",
            "host run time of guest* over big in first: 0.9 .. 1.1",
        ),
        (
            "preemptions: {counter: slices, vcpus: 0-1, phase: first, max_per_s: 100}",
            "slices of every guest vCPU 0-1 in first: <= 100 per s",
        ),
        (
            "preempted: {nodes: guest1, phase: first, statistic: rate, max: 100}",
            "preemptions of every vCPU of guest1 in first: <= 100 per s",
        ),
        (
            "preempted: {phase: first, statistic: p99, min: 1ms, max: 0.02s}",
            "p99 of preemptions of every vCPU in first: 1 ms .. 20 ms",
        ),
        (
            "preempted: {phase: first, statistic: share, max: 10%}",
            "time preempted of every vCPU in first: <= 10 %",
        ),
        (
            "wakeup_latency: {phase: first, statistic: p90, max: 500us}",
            "p90 of wake-up latency of every vCPU in first: <= 0.5 ms",
        ),
        (
            "preempted_while: {phase: first, state: lock, max: 5%}",
            "preemptions of every guest in first that hit a holder of a lock: <= 5 %",
        ),
        (
            "preempted_by: {nodes: guest1, vcpus: 0, phase: first, taker: hog noisy, min: 8, max: 12}",
            "preemptions of guest1 vCPU 0 by hog noisy in first: 8 per s .. 12 per s",
        ),
        (
            "directed_yield: {phase: second, min: 50%}",
            "directed yields of every guest in second that succeeded: >= 50 %",
        ),
        (
            "fairness: {phase: second, min: 0.9}",
            "fairness of run time over busy vCPUs of every guest in second: >= 0.9",
        ),
        (
            "physics: {phase: first}",
            "nothing happens in a guest in first while its vCPU does not run on the host",
        ),
    ],
)
def test_text(text: str, line: str) -> None:
    assert expectation(text).text == line


def test_steal_of_all_vcpus_that_a_glob_reaches() -> None:
    made = expectation("steal: {nodes: 'guest*', phase: first, min: 40%, max: 60%}")
    assert (made.kind, made.targets, made.phases) == ("steal", GUESTS, ("first",))
    assert (made.minimum, made.maximum) == (40.0, 60.0)


def test_steal_of_some_vcpus() -> None:
    assert expectation("steal: {vcpus: 1, phase: first, min: 1%}").targets == (
        ("guest1", 1),
        ("guest2", 1),
        ("big", 1),
    )


def test_agreement_is_about_every_phase_unless_one_is_named() -> None:
    assert expectation("agreement: {max: 2%}").phases == ("first", "second")
    made = expectation("agreement: {nodes: 'guest*', phase: second, max: 2%}")
    assert (made.phases, made.targets, made.minimum, made.maximum) == (("second",), GUESTS, None, 2.0)


def test_throughput_names_the_phase_and_then_its_baseline() -> None:
    made = expectation("throughput: {load: busy, phase: second, baseline: first, max: 1.5}")
    assert (made.load, made.phases, made.targets) == ("busy", ("second", "first"), ())
    assert (made.minimum, made.maximum) == (None, 1.5)


def test_affinity() -> None:
    made = expectation("affinity_unchanged: {load: busy}")
    assert (made.kind, made.load, made.minimum, made.maximum) == ("affinity_unchanged", "busy", None, None)


def test_affinity_in_a_phase() -> None:
    kept = expectation("affinity_unchanged: {load: busy, phase: second}")
    assert (kept.kind, kept.load, kept.phases) == ("affinity_unchanged", "busy", ("second",))
    lost = expectation("affinity: {load: busy, phase: second, unchanged: false}")
    assert (lost.kind, lost.load, lost.phases) == ("affinity_changed", "busy", ("second",))


def test_fold_effect_is_about_whole_nodes_and_in_ms() -> None:
    made = expectation("fold_effect: {nodes: 'guest*', phase: second, max: 1.5s}")
    assert (made.kind, made.targets) == ("fold_effect", (("guest1", -1), ("guest2", -1)))
    assert (made.phases, made.minimum, made.maximum) == (("second",), None, 1500.0)


def test_host_share_is_about_whole_nodes() -> None:
    made = expectation("host_share: {nodes: 'guest*', phase: first, of: big, min: 0.9}")
    assert (made.targets, made.reference, made.phases) == (
        (("guest1", -1), ("guest2", -1)),
        "big",
        ("first",),
    )


def test_preemptions() -> None:
    made = expectation(
        "preemptions: {nodes: guest1, counter: kvm_preemption_other, phase: first, "
        "min_per_s: 5, max_per_s: 9}"
    )
    assert (made.counter, made.targets) == ("kvm_preemption_other", GUESTS[:2])
    assert (made.minimum, made.maximum) == (5.0, 9.0)


def test_bounds_of_what_is_traced_are_in_the_unit_of_the_statistic() -> None:
    rate = expectation("preempted: {nodes: guest1, phase: first, statistic: rate, max: 100}")
    assert (rate.kind, rate.targets, rate.statistic) == ("preempted", GUESTS[:2], "rate")
    assert (rate.minimum, rate.maximum) == (None, 100.0)
    length = expectation("preempted: {phase: first, statistic: max, min: 1ms, max: 0.02s}")
    assert (length.minimum, length.maximum) == (1.0, 20.0)
    share = expectation("preempted: {phase: first, statistic: share, max: 10%}")
    assert (share.minimum, share.maximum) == (None, 10.0)
    latency = expectation("wakeup_latency: {phase: first, statistic: p90, max: 500us}")
    assert (latency.statistic, latency.maximum) == ("p90", 0.5)


def test_what_preemptions_hit_is_about_whole_nodes_and_who_took_is_about_vcpus() -> None:
    hit = expectation("preempted_while: {nodes: guest1, phase: first, state: no_preempt, max: 5%}")
    assert (hit.targets, hit.statistic, hit.maximum) == ((("guest1", -1),), "no_preempt", 5.0)
    taken = expectation("preempted_by: {nodes: guest1, vcpus: 0, phase: first, taker: hog noisy, max: 12}")
    assert (taken.targets, taken.taker, taken.maximum) == (GUESTS[:1], "hog noisy", 12.0)
