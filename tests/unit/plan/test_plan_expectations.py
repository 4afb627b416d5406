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
  - {name: first, start: [busy], duration: 10s}
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
