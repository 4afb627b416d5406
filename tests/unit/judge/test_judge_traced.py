# SPDX-License-Identifier: GPL-2.0-only
"""Preemptions, latencies, takers, holders, yields, fairness, physics: bounds, error bars, and what is doubted."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judging import PHASES, VCPUS, make_measurements, make_plan, only_verdict, with_phase_doubt
from tracing import make_trace, make_traced, traced

from lab.judge.evaluate import judge
from lab.judge.figure import Figure, evaluate_figure
from lab.judge.preempted import begins_with_words
from lab.judge.verdict import Outcome, Verdict
from lab.measure.doubts import doubt_short
from lab.measure.windows import Measurements
from lab.plan.labplan import ExpectationKind, ExpectationPlan
from lab.trace.summary import HitBy, Holders, Physics

ONE = (("guest1", 0),)
NODE = (("guest1", -1),)
BY = (HitBy("guest2 vcpu 0", 1500, 6_000_000_000), HitBy("hog noisy", 200, 800_000_000))
RIGHT = Physics("guest1", "contended", 20_000, 0, 3_000, 12_000)
WRONG = Physics("guest1", "contended", 20_000, 40, 7_000_000, 12_000)


def expect(
    kind: ExpectationKind,
    minimum: float | None = None,
    maximum: float | None = None,
    *,
    statistic: str | None = None,
    taker: str | None = None,
    targets: tuple[tuple[str, int], ...] = ONE,
) -> ExpectationPlan:
    return ExpectationPlan(
        kind,
        kind,
        targets,
        ("contended",),
        minimum=minimum,
        maximum=maximum,
        statistic=statistic,
        taker=taker,
    )


def verdict_of(expectation: ExpectationPlan, **changes: object) -> Verdict:
    """The verdict where guest1 vcpu 0 is as in make_traced but for these changes."""
    trace = make_trace(make_traced(**changes), physics=[RIGHT])  # type: ignore[arg-type]
    return only_verdict(expectation, traced(trace))


@pytest.mark.parametrize(
    ("statistic", "minimum", "maximum", "outcome"),
    [
        ("rate", 90, 110, Outcome.PASSED),
        ("rate", None, 80, Outcome.FAILED),
        ("rate", 120, None, Outcome.FAILED),
        ("rate", None, 101, Outcome.UNDECIDED),
        ("p50", 3.9, 4.1, Outcome.PASSED),
        ("p99", None, 3.9, Outcome.FAILED),
        ("max", None, 4.0, Outcome.PASSED),
        ("share", 38, 42, Outcome.PASSED),
        ("share", None, 30, Outcome.FAILED),
        ("share", None, 40.5, Outcome.UNDECIDED),
    ],
)
def test_each_statistic_has_its_unit_and_its_bounds(statistic, minimum, maximum, outcome):
    verdict = verdict_of(expect("preempted", minimum, maximum, statistic=statistic))
    assert verdict.outcome is outcome, verdict
    assert bool(verdict.reason) is (outcome is not Outcome.PASSED)


def test_a_rate_is_told_with_its_error_bar_and_how_it_came_about():
    verdict = verdict_of(expect("preempted", 90, 110, statistic="rate"))
    assert verdict.observed == "100/s (95 %: 95.7 .. 104/s), 2000 in 20.0 s"


def test_a_bound_inside_of_the_error_bar_says_how_long_a_window_would_tell():
    verdict = verdict_of(expect("preempted", None, 102, statistic="rate"))
    assert verdict.outcome is Outcome.UNDECIDED
    assert verdict.reason == (
        "the bound of 102/s lies in 95.7 .. 104/s: a window of about 120 s would tell (this one: 20.0 s)"
    )


def test_such_a_window_does_tell():
    lengths = (4.0,) * (2000 * 6)
    longer = replace(make_traced(lengths_ms=lengths), elapsed_ns=120_000_000_000, run_ns=72_000_000_000)
    longer = replace(longer, preempted_ns=48_000_000_000, waking_ns=0)
    verdict = only_verdict(expect("preempted", None, 102, statistic="rate"), traced(make_trace(longer)))
    assert verdict.outcome is Outcome.PASSED


def test_a_value_on_the_bound_is_never_told():
    reason = verdict_of(expect("preempted", None, 100, statistic="rate")).reason
    assert "too near to it for any window to tell" in reason


def test_few_preemptions_do_not_bound_their_p99_but_their_longest_is_what_it_is():
    few = (1.0, 2.0, 3.0)
    verdict = verdict_of(expect("preempted", None, 5, statistic="p99"), lengths_ms=few)
    assert verdict.outcome is Outcome.UNDECIDED
    assert "or more" in verdict.observed
    assert "a window of about 2500 s would tell" in verdict.reason  # 368 of them, 3 in 20 s
    longest = verdict_of(expect("preempted", None, 5, statistic="max"), lengths_ms=few)
    assert (longest.outcome, longest.observed) == (Outcome.PASSED, "3 ms, 3 preemptions in 20.0 s")


def test_what_never_came_was_short_enough_but_nobody_knows_whether_long_enough():
    assert verdict_of(expect("preempted", None, 5, statistic="p99"), lengths_ms=()).outcome is Outcome.PASSED
    long = verdict_of(expect("preempted", 5, None, statistic="p99"), lengths_ms=())
    assert (long.outcome, long.observed) == (Outcome.UNDECIDED, "no preemption in 20.0 s")
    assert verdict_of(expect("preempted", 5, statistic="rate"), lengths_ms=()).outcome is Outcome.FAILED


def test_a_clock_that_is_too_bad_for_the_bound_is_named():
    within = expect("preempted", None, 4.1, statistic="max")
    assert verdict_of(within, error_ns=40_000).outcome is Outcome.PASSED
    bad = verdict_of(within, error_ns=60_000)
    assert bad.outcome is Outcome.UNDECIDED
    assert bad.reason == "times may be 0.12 ms off, and it is 0.1 ms from what was seen to the bound"


def test_latencies_are_of_wakeups():
    verdict = verdict_of(expect("wakeup_latency", None, 2, statistic="p90"))
    assert (verdict.outcome, verdict.observed) == (Outcome.PASSED, "1 ms, 400 wake-ups in 20.0 s")
    assert verdict_of(expect("wakeup_latency", None, 0.5, statistic="p90")).outcome is Outcome.FAILED


@pytest.mark.parametrize(
    ("taker", "words", "begins"),
    [
        ("hog noisy", "hog noisy", True),
        ("hog noisy", "hog", True),
        ("hog noisy-2", "hog noisy", False),
        ("guest10 vcpu 0", "guest1", False),
        ("guest1 vcpu 10", "guest1 vcpu 1", False),
        ("kernel kworker/0:1", "kernel kworker", True),
        ("foreign bash", "bash", False),
    ],
)
def test_takers_are_matched_by_whole_words(taker, words, begins):
    assert begins_with_words(taker, words) is begins


def test_takers_are_counted_and_others_are_named():
    hog = verdict_of(expect("preempted_by", 8, 12, taker="hog noisy"), by=BY)
    assert hog.outcome is Outcome.PASSED
    assert hog.observed.endswith("200 in 20.0 s, most others by guest2 vcpu 0")
    assert hog.observed.startswith("10/s (95 %: ")
    nobody = verdict_of(expect("preempted_by", None, 1, taker="foreign"), by=BY)
    assert nobody.outcome is Outcome.PASSED


def holders(told: int = 1000, in_lock: int | None = 100, no_preempt: int | None = None) -> Holders:
    return Holders(told, in_lock, no_preempt, 0, told_by_tick=told // 2)


def test_holders_are_a_share_of_those_that_could_be_told():
    verdict = verdict_of(expect("preempted_while", 5, 15, statistic="lock", targets=NODE), holders=holders())
    assert verdict.outcome is Outcome.UNDECIDED  # guest1 vcpu 1 is not in the trace
    trace = make_trace(
        make_traced(holders=holders()), make_traced(vcpu=1, holders=holders(3000, 100)), physics=[RIGHT]
    )
    verdict = only_verdict(expect("preempted_while", 4, 6, statistic="lock", targets=NODE), traced(trace))
    assert verdict.outcome is Outcome.PASSED
    assert verdict.observed == "5 % (95 %: 4.35 .. 5.72 %) of 4000 that could be told, 4000 in all"


@pytest.mark.parametrize(
    ("least", "most", "outcome"), [(8, 12, "passed"), (None, 8, "failed"), (10, None, "undecided")]
)
def test_holders_are_hit_so_often_per_second(least: float | None, most: float | None, outcome: str):
    trace = make_trace(
        make_traced(holders=holders()), make_traced(vcpu=1, holders=holders(3000, 100)), physics=[RIGHT]
    )
    expectation = expect("preempted_while", least, most, statistic="lock", targets=NODE)
    verdict = only_verdict(replace(expectation, counter="per_s"), traced(trace))
    assert verdict.outcome.value == outcome
    assert verdict.observed == "10/s (95 %: 8.66 .. 11.5/s), 200 of 4000 that could be told, 4000 in all"


def of_holders(one: Holders | None, state: str = "lock", physics: Physics = RIGHT) -> Verdict:
    trace = make_trace(*(make_traced(vcpu=vcpu, holders=one) for vcpu in (0, 1)), physics=[physics])
    return only_verdict(expect("preempted_while", None, 50, statistic=state, targets=NODE), traced(trace))


def test_what_only_ticks_tell_is_a_share_of_what_ticks_told():
    assert (
        of_holders(holders(no_preempt=400), "no_preempt").outcome is Outcome.FAILED
    )  # 400 of 500, not of 1000
    assert of_holders(holders(no_preempt=100), "no_preempt").outcome is Outcome.PASSED


def test_a_guest_that_cannot_tell_is_skipped_and_one_that_was_not_traced_is_undecided():
    skipped = of_holders(holders(in_lock=None))
    assert (skipped.outcome, skipped.reason) == (
        Outcome.SKIPPED,
        "no load marked in the trace of guest1 what it held",
    )
    assert "CONFIG_PREEMPT_COUNT" in of_holders(holders(), "no_preempt").reason
    undecided = of_holders(None)
    assert (undecided.outcome, undecided.reason) == (
        Outcome.UNDECIDED,
        "guest1 itself was not traced in phase contended",
    )
    assert of_holders(holders(0, 0)).reason == "of no preemption could be told what it hit"


def test_what_was_never_preempted_hit_nothing():
    idle = [make_traced(vcpu=vcpu, lengths_ms=(), holders=Holders(0, 0, None, 0)) for vcpu in (0, 1)]
    measurements = traced(make_trace(*idle, physics=[RIGHT]))
    most = only_verdict(expect("preempted_while", None, 2, statistic="lock", targets=NODE), measurements)
    assert (most.outcome, most.observed) == (Outcome.PASSED, "no preemption in 20.0 s")
    least = only_verdict(expect("preempted_while", 2, statistic="lock", targets=NODE), measurements)
    assert least.outcome is Outcome.UNDECIDED


def test_holders_need_a_clock_that_physics_agrees_with_and_that_is_good_enough():
    wrong = of_holders(holders(), physics=WRONG)
    assert wrong.outcome is Outcome.UNDECIDED
    assert "40 of 20000 events of guest1 lie where their vCPU did not run, up to 7 ms off" in wrong.reason
    coarse = of_holders(holders(), physics=replace(RIGHT, error_ns=2_500_000))
    assert coarse.outcome is Outcome.UNDECIDED
    assert "the clock of guest1 is known within 2.5 ms only, and 4000 of 4000" in coarse.reason


@pytest.mark.parametrize(
    ("physics", "outcome"),
    [(RIGHT, Outcome.PASSED), (WRONG, Outcome.FAILED), (replace(RIGHT, checked=0), Outcome.UNDECIDED)],
)
def test_physics_has_no_exceptions(physics, outcome):
    trace = make_trace(physics=[physics])
    assert only_verdict(expect("physics", targets=NODE), traced(trace)).outcome is outcome


def test_physics_of_a_guest_that_was_not_traced_is_undecided():
    verdict = only_verdict(expect("physics", targets=NODE), traced(make_trace()))
    assert (verdict.outcome, verdict.reason) == (
        Outcome.UNDECIDED,
        "guest1 itself was not traced in phase contended",
    )


def yielding(attempted: int, successful: int) -> Measurements:
    well = make_measurements()
    counts = {"directed_yield_attempted": attempted, "directed_yield_successful": successful}
    return replace(well, vcpus=tuple(replace(one, kvm=counts) for one in well.vcpus))


def test_directed_yields_are_kvms_own_and_need_no_trace():
    expectation = expect("directed_yield", 40, 60, targets=NODE)
    passed = only_verdict(expectation, yielding(1000, 500))
    assert passed.outcome is Outcome.PASSED
    assert passed.observed == "50 % (95 %: 47.8 .. 52.2 %), 1000 of 2000 succeeded"
    assert only_verdict(expectation, yielding(1000, 10)).outcome is Outcome.FAILED
    assert only_verdict(expectation, yielding(10, 5)).outcome is Outcome.UNDECIDED
    assert only_verdict(expectation, yielding(0, 0)).reason == "guest1 attempted none in phase contended"
    assert only_verdict(expectation, make_measurements()).outcome is Outcome.SKIPPED


def running(*run_pct: float) -> Measurements:
    """All four vCPUs want to run all the time in `contended`, and get so much."""
    well = make_measurements()
    windows = [one for one in well.vcpus if one.phase == "contended"]
    return replace(
        well,
        vcpus=tuple(
            replace(
                one,
                host_run_ns=round(one.elapsed_ns * pct / 100),
                host_delay_ns=round(one.elapsed_ns * (100 - pct) / 100),
            )
            for one, pct in zip(windows, run_pct, strict=True)
        ),
    )


FAIR = expect("fairness", 0.95, targets=VCPUS)


def test_fairness_is_jains_index_of_run_time():
    assert only_verdict(FAIR, running(50, 50, 50, 50)).observed == (
        "1.0000, they ran for 50.0 .. 50.0 % of the window; 4 of 4 vCPUs were busy"
    )
    unfair = only_verdict(FAIR, running(80, 20, 80, 20))
    assert unfair.outcome is Outcome.FAILED
    assert unfair.observed.startswith("0.7353, ")


def test_an_idle_vcpu_is_no_victim():
    measurements = running(50, 50, 50, 50)
    idle = replace(measurements.vcpus[0], host_run_ns=0, host_delay_ns=0)
    verdict = only_verdict(FAIR, replace(measurements, vcpus=(idle, *measurements.vcpus[1:])))
    assert verdict.outcome is Outcome.PASSED
    assert verdict.observed.endswith("3 of 4 vCPUs were busy")


def test_fairness_of_two_sources_that_lie_on_different_sides_is_undecided():
    trace = make_trace(*(make_traced(node, vcpu) for node, vcpu in VCPUS))
    uneven = tuple(replace(one, run_ns=one.run_ns // (1 + 9 * one.vcpu)) for one in trace.vcpus)
    full = tuple(replace(one, blocked_ns=one.elapsed_ns - one.run_ns - one.delay_ns) for one in uneven)
    measurements = replace(running(50, 50, 50, 50), traces=(replace(trace, vcpus=full),))
    verdict = only_verdict(FAIR, measurements)
    assert verdict.outcome is Outcome.UNDECIDED
    assert "1.0000 by schedstat, 0.5" in verdict.observed


# ---- whatever is traced

TRACED = (
    expect("preempted", 1, 200, statistic="rate"),
    expect("preempted", None, 50, statistic="p99"),
    expect("wakeup_latency", None, 50, statistic="max"),
    expect("preempted_by", None, 500, taker="guest2"),
    expect("preempted_while", None, 50, statistic="lock", targets=NODE),
    expect("physics", targets=NODE),
)
SOUND = make_trace(
    *(make_traced(vcpu=vcpu, by=BY, holders=holders()) for vcpu in (0, 1)), physics=[RIGHT], lost={}
)


@pytest.mark.parametrize("expectation", TRACED, ids=lambda one: f"{one.kind}-{one.statistic}")
@pytest.mark.parametrize(
    ("measurements", "reason"),
    [
        (make_measurements(), "phase contended was not traced"),
        (traced(replace(SOUND, lost={"@host": 17})), "17 events of the host's trace were lost"),
        (traced(replace(SOUND, doubts=("the host's trace: cut off",))), "the host's trace: cut off"),
        (with_phase_doubt(traced(SOUND), "contended", "disturbed"), "disturbed"),
        (replace(traced(SOUND), phases=()), "phase contended was not measured"),
    ],
)
def test_what_cannot_be_trusted_decides_nothing_and_says_why(expectation, measurements, reason):
    assert only_verdict(expectation, traced(SOUND)).outcome is Outcome.PASSED
    verdict = only_verdict(expectation, measurements)
    assert (verdict.outcome, verdict.reason) == (Outcome.UNDECIDED, reason)


@pytest.mark.parametrize("expectation", TRACED, ids=lambda one: f"{one.kind}-{one.statistic}")
def test_a_window_that_is_too_short_for_counters_is_not_for_traces(expectation):
    measurements = with_phase_doubt(traced(SOUND), "contended", *doubt_short(1_000_000_000))
    assert only_verdict(expectation, measurements).outcome is Outcome.PASSED


@pytest.mark.parametrize("expectation", TRACED, ids=lambda one: f"{one.kind}-{one.statistic}")
def test_lost_events_of_a_guest_speak_against_what_needs_its_trace_only(expectation):
    verdict = only_verdict(expectation, traced(replace(SOUND, lost={"guest1": 5})))
    needs_guest = expectation.kind in ("physics", "preempted_while")
    assert verdict.outcome is (Outcome.UNDECIDED if needs_guest else Outcome.PASSED)


def test_a_vcpu_of_which_too_much_is_unknown_is_undecided():
    seen = make_traced()
    verdict = only_verdict(
        TRACED[0], traced(make_trace(replace(seen, run_ns=seen.run_ns - seen.elapsed_ns // 20)))
    )
    assert verdict.reason == ("what guest1 vcpu 0 did is unknown for 5.0 % of the window (at most 1 %)")


lengths = st.lists(st.floats(0.001, 1000), max_size=60)
some_bound = st.none() | st.floats(0, 1000)


@settings(deadline=None)
@given(
    lengths,
    st.sampled_from(["rate", "p50", "p90", "p99", "max", "share"]),
    some_bound,
    some_bound,
    st.floats(0, 100),
    st.booleans(),
)
def test_wider_bounds_never_fail_what_passed(some, statistic, low, high, by, drop):
    def outcome(minimum: float | None, maximum: float | None) -> Outcome:
        seen = replace(make_traced(lengths_ms=some), blocked_ns=0, waking_ns=0, error_ns=20_000)
        seen = replace(seen, run_ns=max(0, seen.elapsed_ns - seen.preempted_ns))
        trace = traced(make_trace(seen))
        verdict = only_verdict(expect("preempted", minimum, maximum, statistic=statistic), trace)
        assert bool(verdict.reason) is (verdict.outcome is not Outcome.PASSED)
        return verdict.outcome

    narrow = outcome(low, high)
    wide = outcome(None if drop or low is None else low - by, None if high is None else high + by)
    if narrow is Outcome.PASSED:
        assert wide is Outcome.PASSED
    if wide is Outcome.FAILED:
        assert narrow is not Outcome.PASSED


@given(st.floats(0, 100), st.floats(0, 50), st.floats(0, 50), st.floats(0, 10), some_bound, some_bound)
def test_only_a_figure_that_lies_on_one_side_with_all_its_errors_is_decided(
    value, down, up, error, low, high
):
    figure = Figure(value, value - down, value + up, "", error, count=10)
    found = evaluate_figure(figure, expect("preempted", low, high), "", 10**10)
    ends = (figure.low - error, figure.high + error)
    if found.outcome is Outcome.PASSED:
        assert (low is None or low <= ends[0]) and (high is None or ends[1] <= high)
    if found.outcome is Outcome.FAILED:
        assert (low is not None and ends[1] < low) or (high is not None and high < ends[0])


def test_all_of_it_is_judged_in_the_plans_order():
    plan = make_plan(*TRACED, phases=PHASES)
    judged = judge(plan, traced(SOUND)).verdicts
    assert [one.expectation for one in judged] == [one.text for one in TRACED]
