# SPDX-License-Identifier: GPL-2.0-only
"""Arms and repeats as the file says them, and the phases as each arm has them."""

from __future__ import annotations

from collections.abc import Callable

from lab.errors import Problem
from lab.topology.armchecks import arm_phases
from lab.topology.armspec import AA_ARM
from lab.topology.model import Topology

BODY = """\
nodes: [{name: guest, count: 2, vcpus: 2}]
load: [{name: busy}, {name: rest}, {name: more}]
phases:
  - {name: first, start: [busy, rest], duration: 5s, set: [{knob: steal.enable, value: true, optional: true}]}
  - {name: second, duration: 5s, stop: [rest]}
arms:
  - {name: base}
  - name: folded
    set: [{knob: steal.high, value: 5%}]
    fold: [{nodes: guest1, vcpus: "1", by: mask}]
    start: [more]
    stop: [rest]
"""


def test_what_is_not_said_of_repeats_has_defaults(topology: Callable[[str], Topology]) -> None:
    repeats = topology(BODY).repeats
    assert (repeats.count, repeats.warmup, repeats.order, repeats.seed) == (10, 1, "random", 1)
    assert (repeats.baseline, repeats.aa) == (None, False)
    assert (repeats.smallest_change, repeats.confidence) == (6.0, 95.0)


def test_changes_of_an_arm_come_before_those_of_the_first_phase(topology: Callable[[str], Topology]) -> None:
    asked = topology(BODY)
    first, second = arm_phases(asked.phases, asked.arms[1])
    assert [one.knob for one in first.set] == ["steal.high", "steal.enable"]
    assert [one.vcpus for one in first.fold] == [(1,)]
    assert (first.start, first.stop) == (("busy", "more"), ())
    assert (second.start, second.stop, second.set, second.fold) == ((), (), (), ())


def test_an_arm_that_says_nothing_is_the_topology(topology: Callable[[str], Topology]) -> None:
    asked = topology(BODY)
    assert arm_phases(asked.phases, asked.arms[0]) == asked.phases


def test_what_is_wrong_in_every_arm_is_told_once(problems: Callable[[str], list[Problem]]) -> None:
    found = problems(BODY.replace("stop: [rest]}", "stop: [more]}"))
    assert [(one.path, one.message) for one in found] == [
        ("phases[1].stop[0]", "load 'more' is stopped, but does not run then (in arm base)")
    ]
    found = problems(BODY.replace("duration: 5s, stop", "duration: 1ms, stop"))
    assert [one.message for one in found] == ["duration is shorter than one sampling interval (100 ms)"]


def test_the_arm_for_the_noise_floor_can_be_named_by_expectations(
    problems: Callable[[str], list[Problem]],
) -> None:
    text = BODY + f"expect: [{{steal: {{phase: first, arm: {AA_ARM}, max: 60%}}}}]\n"
    assert problems(text + "repeats: {aa: true}\n") == []
    assert [one.path for one in problems(text)] == ["expect[0].steal.arm"]


def test_what_needs_a_trace_is_expected_of_arms_that_trace(problems: Callable[[str], list[Problem]]) -> None:
    traced = BODY.replace("  - name: folded\n", "  - name: folded\n    trace: sched\n")
    expect = "expect: [{preempted: {phase: second, statistic: rate, max: 5%s}}]\n"
    assert problems(traced + expect % ", arm: folded") == []
    (found,) = problems(traced + expect % "")
    assert found.path == "expect[0].preempted"
    assert found.message.endswith("`trace: sched` is missing in the phase, or at top level (in arm base)")
    everywhere = traced + "trace: sched\n" + expect % ""
    assert problems(everywhere) == []
    (off,) = problems(everywhere.replace("  - {name: base}", '  - {name: base, trace: "off"}'))
    assert off.message.endswith("(in arm base)")
