# SPDX-License-Identifier: GPL-2.0-only
"""Predicted steal of phases: known cases of everything that changes, and what holds for any contention."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from planning import plan

from lab.plan.contention import Contender, predict_shares
from lab.plan.labplan import HogPlan, LabPlan
from lab.plan.predicting import hog_contender, predictions, with_predictions, with_times

LAB = """\
host: {pcpus: 0-1}
nodes: [{name: a, vcpus: 2}, {name: b, vcpus: 2}]
load:
  - {name: two, tasks: 2}
  - {name: pinned, nodes: a, tasks: 1, vcpus: "1"}
hogs:
  - {name: small, pcpus: "0", duty: 10%}
  - {name: big, pcpus: 0-1}
"""
Steal = dict[str, list[float | None]]


def predict(phases: str, more: str = "") -> list[Steal]:
    """Steal by node, of every phase."""
    return steal_of(plan(LAB + more + f"phases:\n{phases}"))


def steal_of(made: LabPlan) -> list[Steal]:
    found = []
    for phase in made.phases:
        steal: Steal = {}
        for one in phase.predicted or ():
            steal.setdefault(one.node, []).append(one.steal_pct)
        found.append(steal)
    return found


def test_only_what_runs_in_a_phase_counts() -> None:
    phases = predict(
        "  - {name: none, duration: 9s}\n"
        "  - {name: both, start: [two], duration: 9s}\n"
        "  - {name: one, stop: [two], start: [pinned], duration: 9s}\n"
    )
    assert phases == [
        {"a": [None, None], "b": [None, None]},
        {"a": [50, 50], "b": [50, 50]},
        {"a": [None, 0], "b": [None, None]},
    ]


def test_a_realtime_hog_takes_its_duty_before_all_others() -> None:
    phases = predict(
        "  - {name: one, start: [two, first], duration: 9s}\n"
        "  - {name: more, contention: [{hog: first, duty: 90%}, {nodes: a, weight: 10000}], duration: 9s}\n",
        "  - {name: first, pcpus: '0', duty: 20%, realtime: true}\n",
    )
    assert phases[0] == {"a": [60, 50], "b": [60, 50]}
    assert phases[1]["a"][0] == pytest.approx(90.1, abs=0.1)
    assert phases[1]["b"][0] == pytest.approx(99.9, abs=0.1)


def test_hogs_take_their_duty_and_no_more_than_their_share() -> None:
    phases = predict(
        "  - {name: small, start: [pinned, small, two], duration: 9s}\n"
        "  - {name: more, contention: [{hog: small, duty: 60%}], duration: 9s}\n"
        "  - {name: big, stop: [small], start: [big], duration: 9s}\n"
    )
    assert phases == [
        {"a": [55, 50], "b": [55, 50]},
        {"a": [75, 50], "b": [75, 50]},
        {"a": [66.67, 66.67], "b": [66.67, 66.67]},
    ]


def test_a_schedule_is_weighed_by_time() -> None:
    (wave,) = predict(
        "  - {name: wave, start: [two], duration: 10s, "
        "schedule: [{square: {period: 4s, on: 25%, run: [big]}}, {at: 9s, nodes: b, pinning: '0'}]}\n"
    )
    # On for 0-1, 4-5 and 8-9 s; then both vCPUs of b beside vCPU 0 of a.
    assert wave["a"] == [
        pytest.approx((3 * 66.67 + 6 * 50 + 66.67) / 10, abs=0.01),
        pytest.approx(50.0, abs=0.01),
    ]
    assert wave["b"] == [pytest.approx((3 * 66.67 + 6 * 50 + 66.67) / 10, abs=0.01)] * 2


def test_a_vcpu_that_is_busy_for_a_part_waits_for_a_part() -> None:
    (phase,) = predict("  - {name: late, duration: 8s, schedule: [{at: 6s, start: [two]}]}\n")
    assert phase == {"a": [12.5, 12.5], "b": [12.5, 12.5]}


def test_what_was_changed_stays() -> None:
    phases = predict(
        "  - {name: one, start: [two], duration: 8s, contention: [{nodes: b, weight: 300}],"
        " schedule: [{at: 4s, nodes: b, quota: 50%}]}\n"
        "  - {name: two, duration: 8s}\n"
        "  - {name: three, duration: 8s, contention: [{nodes: b, weight: 100, quota: 100%}]}\n"
    )
    assert phases[0] == {"a": [62.5, 62.5], "b": [37.5, 37.5]}
    assert phases[1] == {"a": [50, 50], "b": [50, 50]}
    assert phases[2] == phases[1]


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("mask", {"a": [50, None], "b": [50, 0]}),
        ("hotplug", {"a": [50, None], "b": [50, 0]}),
        ("cpuset", {"a": [50, None], "b": [50, 0]}),
    ],
)
def test_folded_vcpus_are_idle(by: str, expected: Steal) -> None:
    """The guest has all its weight on one vCPU then, against half of the other's."""
    (phase,) = predict(
        f"  - {{name: folded, start: [two], duration: 8s, fold: [{{nodes: a, vcpus: '1', by: {by}}}]}}\n"
    )
    weighed = {"a": [pytest.approx(33.33, abs=0.01), None], "b": [pytest.approx(66.67, abs=0.01), 0]}
    assert {node: [steal is None for steal in found] for node, found in phase.items()} == {
        node: [steal is None for steal in found] for node, found in expected.items()
    }
    assert phase == weighed


def test_tasks_that_may_go_nowhere_else_stay_by_a_mask_and_move_by_hotplug() -> None:
    def folded(by: str) -> Steal:
        (phase,) = predict(
            f"  - {{name: f, start: [pinned], duration: 8s, fold: [{{nodes: a, vcpus: '1', by: {by}}}]}}\n"
        )
        return phase

    assert folded("mask")["a"] == [None, 0]
    assert folded("hotplug")["a"] == [0, None]
    assert folded("cpuset")["a"] == [0, None]


def test_folds_on_the_host_leave_tasks_where_they_are() -> None:
    weight, quota, undone = predict(
        "  - {name: w, start: [two], duration: 8s, fold: [{nodes: a, vcpus: '1', by: weight}]}\n"
        "  - {name: q, duration: 8s, "
        "fold: [{nodes: a, vcpus: '', by: weight}, {nodes: a, vcpus: '1', by: quota}]}\n"
        "  - {name: u, duration: 8s, fold: [{nodes: a, vcpus: '', by: quota}]}\n"
    )
    assert weight["a"][1] == pytest.approx(100 - 100 * (100 / 101) / (100 / 101 + 50), abs=0.1)
    assert quota["a"][1] == 99 and quota["b"][1] == 1
    assert undone == {"a": [50, 50], "b": [50, 50]}


def test_knobs_by_their_names_count_as_folds_do() -> None:
    (phase,) = predict(
        "  - {name: p, start: [two], duration: 8s, set: [{nodes: a, knob: avoid_cpus, value: '1'}]}\n",
        "knobs: [{nodes: b, knob: vcpu.quota, value: 25%}]\n",
    )
    assert phase["a"][1] is None and phase["b"] == [75, 75]


def test_where_a_governor_decides_nothing_is_predicted() -> None:
    made = plan(
        LAB + "phases:\n"
        "  - {name: g, start: [two], duration: 8s, govern: [{nodes: a, source: steal}]}\n"
        "  - {name: after, duration: 8s}\n"
        "  - {name: kernel, duration: 8s, set: [{knob: steal.enable, value: true}]}\n"
    )
    assert [phase.predicted == () for phase in made.phases] == [True, False, True]
    assert predictions(made)["g"] == {}


def test_loads_end_with_the_phase_that_waits_for_them_and_arms_begin_anew() -> None:
    made = plan(
        LAB + "phases:\n  - {name: p, start: [two], duration: 8s, contention: [{nodes: b, weight: 300}]}\n"
        "  - {name: q, duration: 8s}\n"
    )
    fresh = replace(made.phases[1], fresh=True)
    until = replace(made.phases[0], until=("two",))
    again = with_predictions(replace(made, phases=(made.phases[0], fresh, until, made.phases[1])))
    assert [steal["a"] for steal in steal_of(again)] == [[75, 75], [None, None], [75, 75], [None, None]]


def test_changes_count_from_when_they_were_made() -> None:
    made = plan(
        LAB
        + "phases:\n  - {name: p, duration: 10s, schedule: [{at: 2s, start: [two]}, {at: 7s, stop: [two]}]}\n"
        "  - {name: q, duration: 8s}\n"
    )
    assert steal_of(made)[0]["a"] == [25, 25]
    late = with_times(made, {"p": {2_000_000_000: 4_000_000_000, 7_000_000_000: 30_000_000_000}})
    assert steal_of(late)[0]["a"] == [30, 30]
    assert late.phases[0].changes == made.phases[0].changes and late.phases[1] == made.phases[1]


def test_older_plans_have_one_prediction_for_all() -> None:
    made = plan(LAB + "phases: [{name: p, duration: 8s}]\n")
    old = replace(made, phases=(replace(made.phases[0], predicted=None),))
    always = [vcpu.predicted_steal_pct for node in made.nodes for vcpu in node.vcpus]
    assert list(predictions(old)["p"].values()) == always


# ---- whatever contends

PCPUS = 3


def guests() -> st.SearchStrategy[Contender]:
    @st.composite
    def one(draw: st.DrawFn) -> Contender:
        vcpus = draw(st.integers(1, 3))
        pins = draw(st.lists(st.integers(0, PCPUS - 1), min_size=vcpus, max_size=vcpus))
        return Contender(
            pins=tuple((pcpu,) for pcpu in pins),
            demands=tuple(draw(st.sampled_from([0.0, 0.25, 1.0])) for _ in range(vcpus)),
            weight=draw(st.sampled_from([50, 100, 300])),
            caps=tuple(draw(st.sampled_from([0.3, 1.0])) for _ in range(vcpus)),
        )

    return one()


def hogs() -> st.SearchStrategy[Contender]:
    return st.builds(
        lambda pcpus, duty, weight: hog_contender(
            HogPlan("h", tuple(sorted(pcpus)), duty, 10_000_000, weight)
        ),
        st.frozensets(st.integers(0, PCPUS - 1), min_size=1),
        st.sampled_from([0.0, 10.0, 50.0, 100.0]),
        st.sampled_from([50, 100, 300]),
    )


def mixes() -> st.SearchStrategy[list[Contender]]:
    return st.lists(st.one_of(guests(), hogs()), min_size=1, max_size=5)


@given(mixes())
@settings(max_examples=200, deadline=None)
def test_pcpus_are_shared_out_and_nobody_gets_more_than_he_wants(contenders: list[Contender]) -> None:
    shares = predict_shares(contenders)
    on: dict[int, list[tuple[float, float]]] = {pcpu: [] for pcpu in range(PCPUS)}
    for contender, got in zip(contenders, shares, strict=True):
        for (pcpu,), limit, share in zip(contender.pins, contender.limits, got, strict=True):
            assert -1e-9 <= share <= limit + 1e-9
            on[pcpu].append((limit, share))
    for claims in on.values():  # a pCPU idles only where all have what they want
        run, wanted = sum(share for _, share in claims), sum(limit for limit, _ in claims)
        assert run == pytest.approx(min(1.0, wanted), abs=1e-6)


@given(mixes(), st.data())
@settings(max_examples=150, deadline=None)
def test_more_weight_never_means_less(contenders: list[Contender], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(contenders) - 1))
    heavier = [*contenders]
    heavier[index] = replace(contenders[index], weight=contenders[index].weight * 2)
    before, after = predict_shares(contenders), predict_shares(heavier)
    assert sum(after[index]) >= sum(before[index]) - 1e-6


@given(mixes(), st.data())
@settings(max_examples=100, deadline=None)
def test_equals_get_equal_shares(contenders: list[Contender], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(contenders) - 1))
    shares = predict_shares([*contenders, contenders[index]])
    assert shares[index] == pytest.approx(shares[-1], abs=1e-9)


@given(mixes(), st.sampled_from([0.0, 20.0, 60.0]))
@settings(max_examples=100, deadline=None)
def test_a_hog_that_wants_more_gets_no_less_and_leaves_no_more(
    contenders: list[Contender], duty_pct: float
) -> None:
    hog = HogPlan("h", (0,), duty_pct, 10_000_000, 100)
    less = predict_shares([*contenders, hog_contender(hog)])
    more = predict_shares([*contenders, hog_contender(replace(hog, duty_pct=duty_pct + 30))])
    assume(duty_pct + 30 <= 100)
    assert sum(more[-1]) >= sum(less[-1]) - 1e-9
    for (one, before), after in zip(zip(contenders, less, strict=False), more, strict=False):
        for (pcpu,), old, new in zip(one.pins, before, after, strict=True):
            assert pcpu != 0 or new <= old + 1e-9
