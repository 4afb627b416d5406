# SPDX-License-Identifier: GPL-2.0-only
"""Schedules as single changes: known shapes, and what holds for all of them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planning import plan, topology

from lab.plan.changes import change_settings
from lab.plan.labplan import ChangePlan, LabPlan, parse_plan_json, render_plan_json
from lab.plan.schedule import plan_schedule
from lab.plan.text import render_plan_text
from lab.topology.contentionspec import ScheduleSpec

S = 1_000_000_000
LAB = """\
nodes: [{name: a, vcpus: 2, quota: 80%}, {name: b, vcpus: 1}]
load: [{name: busy, tasks: 1}]
hogs: [{name: noise, pcpus: "0", duty: 10%}]
"""
NODES = topology(LAB).nodes


def expand(entries: list[dict[str, Any]], duration_s: float = 10) -> tuple[ChangePlan, ...]:
    specs = [ScheduleSpec.model_validate(entry) for entry in entries]
    return plan_schedule(specs, round(duration_s * S), NODES)


def told(changes: tuple[ChangePlan, ...]) -> list[tuple[float, str, str, float | None]]:
    return [(one.at_ns / S, one.kind, one.target, one.value) for one in changes]


def test_a_step_stops_changes_and_starts() -> None:
    step = {"at": "2s", "start": ["noise"], "stop": ["busy"], "nodes": "a", "weight": 300, "quota": "40%"}
    assert told(expand([step])) == [
        (2, "stop", "busy", None),
        (2, "weight", "a", 300),
        (2, "quota", "a", 40),
        (2, "start", "noise", None),
    ]


def test_a_square_wave_begins_on_and_may_be_cut_short() -> None:
    wave = {"square": {"period": "4s", "on": "25%", "run": ["noise"]}}
    assert told(expand([wave])) == [
        (0, "start", "noise", None),
        (1, "stop", "noise", None),
        (4, "start", "noise", None),
        (5, "stop", "noise", None),
        (8, "start", "noise", None),
        (9, "stop", "noise", None),
    ]
    cut = {"square": {"period": "4s", "hog": "noise", "duty": ["90%", "20%"], "begin": "1s", "end": "6s"}}
    assert told(expand([cut])) == [
        (1, "duty", "noise", 90),
        (3, "duty", "noise", 20),
        (5, "duty", "noise", 90),
        (6, "duty", "noise", 20),
    ]


def test_a_ramp_has_both_ends() -> None:
    ramp = {"ramp": {"steps": 5, "nodes": "b", "weight": [100, 300], "begin": "2s", "end": "7s"}}
    assert told(expand([ramp])) == [(2 + n, "weight", "b", 100 + 50 * n) for n in range(5)]


def test_random_states_differ_by_seed_only() -> None:
    def drawn(seed: int) -> list[tuple[float, str, str, float | None]]:
        return told(
            expand([{"random": {"seed": seed, "every": "1s", "hog": "noise", "duty": ["10%", "90%"]}}])
        )

    assert drawn(1) == drawn(1) != drawn(2)
    # As drawn by every version of Python, now and later.
    assert [value for _, _, _, value in drawn(1)][:3] == [20.75, 77.79, 71.1]


def test_one_of_two_is_told_only_when_it_changes() -> None:
    changes = expand([{"random": {"every": "500ms", "run": ["busy"]}}], 60)
    kinds = [one.kind for one in changes]
    assert set(kinds) == {"start", "stop"}
    assert all(one != other for one, other in pairwise(kinds))


def test_vcpus_and_pcpus_of_a_step() -> None:
    changes = expand(
        [{"at": "1s", "nodes": "a", "vcpus": "1", "pinning": "0-1"}, {"at": "1s", "quota": "50%"}]
    )
    assert [(one.kind, one.target, one.vcpus, one.pcpus) for one in changes] == [
        ("pin", "a", (1,), (0, 1)),
        ("quota", "a", (0, 1), ()),
        ("quota", "b", (0,), ()),
    ]


# ---- whatever the schedule


def shapes() -> st.SearchStrategy[dict[str, Any]]:
    varied = st.sampled_from(
        [
            {"run": ["noise", "busy"]},
            {"hog": "noise", "duty": ["10%", "80%"]},
            {"nodes": "a", "weight": [1, 10_000]},
            {"nodes": "*", "quota": ["1%", "100%"]},
            {"nodes": "a", "vcpus": "0", "pinning": ["0", "1-2"]},
        ]
    )
    window = st.sampled_from([{}, {"begin": "3s"}, {"end": "7500ms"}, {"begin": "2s", "end": "9s"}])
    square = st.builds(
        lambda what, when, period, on: {"square": {**what, **when, "period": f"{period}ms", "on": f"{on}%"}},
        varied,
        window,
        st.integers(100, 20_000),
        st.integers(1, 99),
    )
    random = st.builds(
        lambda what, when, every, seed: {"random": {**what, **when, "every": f"{every}ms", "seed": seed}},
        varied,
        window,
        st.integers(50, 20_000),
        st.integers(0, 2**32),
    )
    between = varied.filter(lambda what: "run" not in what and "pinning" not in what)
    ramp = st.builds(
        lambda what, when, steps: {"ramp": {**what, **when, "steps": steps}},
        between,
        window,
        st.integers(2, 100),
    )
    step = st.builds(
        lambda at: {"at": f"{at}ms", "start": ["noise"], "stop": ["busy"]}, st.integers(0, 9_999)
    )
    return st.one_of(square, random, ramp, step)


@given(st.lists(shapes(), max_size=4))
@settings(max_examples=150, deadline=None)
def test_changes_are_in_order_and_inside_of_the_window(entries: list[dict[str, Any]]) -> None:
    changes = expand(entries)
    times = [one.at_ns for one in changes]
    assert times == sorted(times)
    assert all(0 <= at_ns < 10 * S for at_ns in times)
    assert expand(entries) == changes


@given(st.lists(shapes(), max_size=3))
@settings(max_examples=100, deadline=None)
def test_values_stay_between_the_two_ends(entries: list[dict[str, Any]]) -> None:
    bounds = {"duty": (10, 80), "weight": (1, 10_000), "quota": (1, 100)}
    for change in expand(entries):
        if change.value is not None:
            low, high = bounds[change.kind]
            assert low <= change.value <= high
        if change.kind in ("weight", "quota"):
            assert change.value == round(change.value or 0)


# ---- in plans


def planned(more: str) -> LabPlan:
    return plan(LAB + more)


def test_a_plan_with_all_of_it_survives_json() -> None:
    made = planned(
        "phases:\n  - name: p\n    start: [busy]\n    duration: 8s\n"
        "    contention: [{nodes: a, pinning: '2'}, {hog: noise, duty: 20%}]\n"
        "    schedule: [{square: {period: 2s, run: [noise]}}]\n"
    )
    assert parse_plan_json(render_plan_json(made)) == made
    assert "at 1 s: stop noise" in render_plan_text(made)


def test_a_long_schedule_is_told_shortly() -> None:
    text = render_plan_text(
        planned("phases: [{name: p, duration: 60s, schedule: [{square: {period: 2s, run: [noise]}}]}]\n")
    )
    assert "and at 49 more times, the last at 59 s" in text


@pytest.mark.parametrize(
    ("change", "knob", "values", "paths"),
    [
        (ChangePlan("weight", "a", 300), "guest.weight", ["300"], ["lab-unit0-a/cpu.weight"]),
        (
            ChangePlan("quota", "a", 40, (0, 1)),
            "vcpu.quota",
            ["40", "40"],
            ["lab-unit0-a/vcpu0/cpu.max", "lab-unit0-a/vcpu1/cpu.max"],
        ),
    ],
)
def test_weights_and_quotas_are_knobs(
    change: ChangePlan, knob: str, values: list[str], paths: list[str]
) -> None:
    settings = change_settings(planned(""), change)
    assert {one.knob for one in settings} == {knob}
    assert [one.value for one in settings] == values
    assert [one.candidates[0].path for one in settings] == paths


def test_other_changes_are_no_knobs() -> None:
    for change in (ChangePlan("start", "noise"), ChangePlan("duty", "noise", 5), ChangePlan("pin", "a")):
        assert change_settings(planned(""), change) == ()
