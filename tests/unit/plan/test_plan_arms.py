# SPDX-License-Identifier: GPL-2.0-only
"""Arms and repeats become ordinary phases, interleaved by a rule that a seed makes repeatable."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.plan.planning import catalogue, facts, topology

from lab.plan.arms import counted_phases, plan_order, repeat_orders, template_phases
from lab.plan.decide import plan_lab
from lab.plan.labplan import ComparisonPlan, LabPlan, PhasePlan, parse_plan_json, render_plan_json

HEAD = """\
version: 1
name: unit
kernels:
  plain: {source: {debian: "6.12"}}
  patched: {source: {debian: "6.12"}, patches: [paravirt-cpus]}
  unused: {source: {debian: "6.12"}}
nodes:
  - {name: guest, count: 2, vcpus: 2, kernel: plain}
load: [{name: busy, tasks: 2}, {name: more}, {name: rest}]
phases:
  - {name: two, start: [busy, more], duration: 3s, set: [{knob: steal.high, value: 5%}]}
  - {name: four, stop: [more], start: [rest], duration: 4s}
"""
ARMS = """\
arms:
  - {name: base}
  - {name: feature-off, kernel: patched}
  - name: feature-on
    kernel: [{nodes: guest1, kernel: patched}, {nodes: guest2, kernel: plain}]
    set: [{knob: steal.low, value: 1%}]
    fold: [{nodes: guest1, vcpus: "1", by: mask}]
    start: [rest]
    stop: [more]
"""


def planned(rest: str, arms: str = ARMS) -> LabPlan:
    asked = topology(arms + rest, HEAD.replace(", start: [rest]", "") if "rest" in arms else HEAD)
    return plan_lab(asked, facts(), "unit0", catalogue(asked))


def comparison(
    arms: int = 3, count: int = 4, warmup: int = 1, order: str = "random", seed: int = 1
) -> ComparisonPlan:
    names = tuple(f"arm{number}" for number in range(arms))
    return ComparisonPlan(names[0], names, None, 5.0, 95.0, seed, count, warmup, order)  # type: ignore[arg-type]


asked = st.builds(
    comparison,
    arms=st.integers(1, 6),
    count=st.integers(1, 12),
    warmup=st.integers(0, 3),
    order=st.sampled_from(["random", "abba"]),
    seed=st.integers(0, 2**40),
)


@given(asked)
def test_every_repeat_has_every_arm_once(wanted: ComparisonPlan) -> None:
    order = plan_order(wanted)
    assert len(order) == wanted.warmup + wanted.count
    assert all(sorted(arms) == sorted(wanted.arms) for arms in order)


@given(asked)
def test_a_seed_gives_one_order(wanted: ComparisonPlan) -> None:
    assert plan_order(wanted) == plan_order(replace(wanted))


def test_seeds_differ_and_so_do_repeats() -> None:
    orders = {plan_order(comparison(count=10, seed=seed)) for seed in range(20)}
    assert len(orders) == 20
    assert len(set(plan_order(comparison(count=30)))) == 6


@given(st.integers(1, 6), st.integers(1, 8).map(lambda half: 2 * half), st.integers(0, 3))
def test_abba_gives_every_arm_the_same_mean_place(arms: int, count: int, warmup: int) -> None:
    wanted = comparison(arms, count, warmup, "abba")
    counted = [arm for repeat in plan_order(wanted)[warmup:] for arm in repeat]
    places = {arm: [place for place, one in enumerate(counted) if one == arm] for arm in wanted.arms}
    assert len({sum(one) for one in places.values()}) == 1
    assert plan_order(wanted)[warmup] == wanted.arms


def test_a_random_order_favours_no_arm() -> None:
    first = Counter(arms[0] for seed in range(200) for arms in plan_order(comparison(count=10, seed=seed)))
    assert all(550 < number < 850 for number in first.values()), first


def test_windows_are_named_and_know_what_they_are() -> None:
    plan = planned("repeats: {count: 2, warmup: 1, order: abba}\n")
    assert [phase.name for phase in plan.phases if phase.arm == "base"] == [
        *("two.base.w1", "four.base.w1", "two.base.1", "four.base.1", "two.base.2", "four.base.2")
    ]
    window = next(phase for phase in plan.phases if phase.name == "four.feature-on.2")
    assert (window.arm, window.repeat, window.template, window.fresh) == ("feature-on", 2, "four", False)
    assert (window.duration_ns, window.settle_ns) == (4_000_000_000, 2_000_000_000)
    assert [phase.repeat for phase in plan.phases] == [0] * 6 + [1] * 6 + [2] * 6
    assert len({phase.name for phase in plan.phases}) == len(plan.phases)


def test_a_window_carries_all_that_its_arm_does() -> None:
    plan = planned("repeats: {count: 2}\n")
    two, four = (counted_phases(plan, name, "feature-on")[0] for name in ("two", "four"))
    assert [(one.knob, one.node) for one in two.knobs] == [
        *(
            ("steal.low", "guest1"),
            ("steal.low", "guest2"),
            ("steal.high", "guest1"),
            ("steal.high", "guest2"),
        ),
        ("avoid_cpus", "guest1"),
    ]
    assert (two.start, two.stop, four.start, four.stop) == (("busy", "rest"), (), (), ())
    assert (two.fresh, four.fresh) == (True, False)
    assert two.kernels == (("guest1", "patched"),)
    base = counted_phases(plan, "two", "base")[0]
    assert (base.start, base.kernels) == (("busy", "more"), ())


def test_the_noise_floor_is_one_more_arm_equal_to_the_baseline() -> None:
    plan = planned("repeats: {count: 3, aa: true, baseline: feature-off}\n")
    assert plan.comparison is not None
    assert (plan.comparison.baseline, plan.comparison.aa_arm) == ("feature-off", "aa")
    assert plan.comparison.arms == ("base", "feature-off", "feature-on", "aa")
    same = {"name": "", "arm": None, "repeat": 0, "fresh": False}
    for name in ("two", "four"):
        floor, base = (counted_phases(plan, name, arm) for arm in ("aa", "feature-off"))
        assert len(floor) == 3
        assert [replace(one, **same) for one in floor] == [replace(one, **same) for one in base]  # type: ignore[arg-type]


def test_kernels_of_arms_are_needed_and_no_others() -> None:
    plan = planned("")
    assert [kernel.name for kernel in plan.kernels] == ["plain", "patched"]
    assert {one.name for one in plan.artifacts if one.kind == "kernel"} == {"plain", "patched"}


def test_what_is_compared_is_said() -> None:
    plan = planned("repeats: {count: 4, warmup: 2, seed: 7, smallest_change: 3%, confidence: 90%}\n")
    made = plan.comparison
    assert made is not None
    assert (made.baseline, made.arms, made.aa_arm) == ("base", ("base", "feature-off", "feature-on"), None)
    assert (made.smallest_change_pct, made.confidence_pct, made.seed) == (3.0, 90.0, 7)
    assert (made.count, made.warmup, made.order) == (4, 2, "random")
    assert [name for name, _ in repeat_orders(plan)] == ["w1", "w2", "1", "2", "3", "4"]
    assert tuple(arms for _, arms in repeat_orders(plan)) == plan_order(made)


def test_the_phases_of_the_topology_can_be_had_again() -> None:
    plan = planned("repeats: {baseline: feature-on}\n")
    two, four = template_phases(plan)
    assert (two.name, four.name) == ("two", "four")
    assert [one.knob for one in two.knobs] == ["steal.high", "steal.high"]
    assert two.start == ("busy",)  # its baseline leaves `more` out
    plain = planned("", arms="")
    assert template_phases(plain) == plain.phases


def test_a_plan_with_arms_survives_json_and_older_plans_can_be_read() -> None:
    plan = planned("repeats: {count: 2, aa: true}\n")
    assert parse_plan_json(render_plan_json(plan)) == plan
    older = json.loads(render_plan_json(planned("", arms="")))
    del older["comparison"]
    for phase in older["phases"]:
        for name in ("arm", "repeat", "template", "fresh", "kernels"):
            del phase[name]
    for expectation in older["expectations"]:
        del expectation["arm"]
    read = parse_plan_json(json.dumps(older))
    assert read.comparison is None
    assert read.phases == planned("", arms="").phases
    assert isinstance(read.phases[0], PhasePlan)


@pytest.mark.parametrize(
    ("said", "arm", "text"), [("arm: base, ", "base", "base: steal"), ("", None, "steal")]
)
def test_an_expectation_says_in_which_arm(said: str, arm: str | None, text: str) -> None:
    plan = planned(f"expect: [{{steal: {{phase: two, {said}max: 60%}}}}]\n")
    (expectation,) = plan.expectations
    assert (expectation.arm, expectation.phases) == (arm, ("two",))
    assert expectation.text.startswith(text)


def test_in_an_arm_whose_kernel_lacks_knobs_all_of_them_are_optional() -> None:
    arms = ARMS.replace(
        "{name: base}", "{name: base, lacks_knobs: true, set: [{knob: steal.low, value: 2%}]}"
    )
    plan = planned("repeats: {count: 2, warmup: 0}\n", arms)
    asked = {arm: {one.optional for phase in plan.phases if phase.arm == arm for one in phase.knobs}
             for arm in ("base", "feature-on")}  # fmt: skip
    assert asked == {"base": {True}, "feature-on": {False}}
    assert plan.comparison is not None
    assert [one.lacks_knobs for one in plan.comparison.details] == [True, False, False]
    assert [phase.name for phase in template_phases(plan)] == ["two", "four"]
