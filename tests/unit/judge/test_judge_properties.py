# SPDX-License-Identifier: GPL-2.0-only
"""What holds for any measurement: doubt decides nothing, wider bounds never hurt, text stays narrow."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from judging import (
    PHASES,
    WINDOW_NS,
    expect_steal,
    make_measurements,
    make_plan,
    make_vcpu,
    with_phase_doubt,
    with_vcpu,
)

from lab.judge.document import judgement_json
from lab.judge.evaluate import judge
from lab.judge.evidence import Evidence
from lab.judge.foldtable import render_fold_table
from lab.judge.junit import render_junit
from lab.judge.layout import WIDTH
from lab.judge.table import render_phase_table, render_summary, render_verdicts
from lab.judge.verdict import Judgement, Outcome, Verdict
from lab.measure.windows import (
    Folding,
    Measurements,
    PhaseWindow,
    TaskAffinity,
    TaskWindow,
    VcpuWindow,
)
from lab.plan.labplan import ExpectationPlan, LabPlan

WELL = make_measurements()
TARGETS = (("guest1", 0), ("guest2", 1))

percents = st.floats(0, 100)
bounds = st.none() | percents
counts = st.none() | st.integers(0, 10**15)
any_count = st.none() | st.integers(-(10**30), 10**30)
some_text = st.text(max_size=120)
a_doubt = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=30)


@st.composite
def measured(draw: st.DrawFn) -> Measurements:
    """The quickstart's shape with any steal, run time, counters and work; anything may be missing."""
    vcpus = tuple(
        replace(
            make_vcpu(window.node, window.vcpu, window.phase, guest_pct=draw(st.none() | percents)),
            host_delay_ns=draw(st.none() | st.integers(0, WINDOW_NS)),
            host_run_ns=draw(st.none() | st.integers(0, WINDOW_NS)),
            slices=draw(counts),
            kvm_preemption_other=draw(counts),
        )
        for window in WELL.vcpus
        if draw(st.integers(0, 9))
    )
    tasks = tuple(replace(task, work=draw(st.integers(0, 10**9))) for task in WELL.tasks)
    phases = tuple(window for window in WELL.phases if draw(st.integers(0, 9)))
    return replace(WELL, vcpus=vcpus, tasks=tasks, phases=phases)


@st.composite
def bounded(draw: st.DrawFn) -> tuple[ExpectationPlan, ...]:
    """One expectation of each kind that has bounds, with any bounds."""
    return tuple(
        replace(expectation, minimum=draw(bounds), maximum=draw(bounds))
        for expectation in (
            expect_steal(targets=TARGETS),
            ExpectationPlan("agreement", "agreement", TARGETS, PHASES),
            ExpectationPlan("throughput", "work", phases=("folded", "contended"), load="busy"),
            ExpectationPlan("host_share", "share", (("guest2", -1),), ("folded",), reference="guest1"),
            ExpectationPlan("preemptions", "slices", TARGETS, ("folded",), counter="slices"),
            ExpectationPlan("preemptions", "kvm", TARGETS, PHASES, counter="kvm_preemption_other"),
        )
    )


def widened(expectation: ExpectationPlan, by: float, drop_minimum: bool) -> ExpectationPlan:
    low, high = expectation.minimum, expectation.maximum
    return replace(
        expectation,
        minimum=None if drop_minimum or low is None else low - by,
        maximum=None if high is None else high + by,
    )


@settings(deadline=None)
@given(measured(), bounded(), st.floats(0, 50), st.booleans())
def test_wider_bounds_never_fail_what_passed_nor_unpass_it(measurements, expectations, by, drop):
    narrow = judge(make_plan(*expectations), measurements).verdicts
    wide = judge(make_plan(*(widened(one, by, drop) for one in expectations)), measurements).verdicts
    assert len(narrow) == len(wide)
    for before, after in zip(narrow, wide, strict=True):
        if before.outcome is Outcome.PASSED:
            assert after.outcome is Outcome.PASSED
        if after.outcome is Outcome.FAILED:
            assert before.outcome is not Outcome.PASSED


@settings(deadline=None)
@given(measured(), bounded(), a_doubt)
def test_a_doubt_about_its_phases_lets_nothing_pass_or_fail(measurements, expectations, doubt):
    doubted = measurements
    for phase in PHASES:
        doubted = with_phase_doubt(doubted, phase, doubt)
    outcomes = {verdict.outcome for verdict in judge(make_plan(*expectations), doubted).verdicts}
    assert outcomes <= {Outcome.UNDECIDED, Outcome.SKIPPED}


@settings(deadline=None)
@given(percents, percents, bounds, bounds, a_doubt)
def test_a_doubt_about_the_vcpu_lets_no_steal_pass_or_fail(guest_pct, host_pct, low, high, doubt):
    window = make_vcpu(guest_pct=guest_pct, host_pct=host_pct, doubts=(doubt,))
    (verdict,) = judge(make_plan(expect_steal(low, high)), with_vcpu(WELL, window)).verdicts
    assert verdict.outcome is Outcome.UNDECIDED
    assert doubt in verdict.reason


@settings(deadline=None)
@given(measured(), bounded(), st.randoms(use_true_random=False))
def test_verdicts_depend_neither_on_the_run_nor_on_the_order_of_measurements(
    measurements, expectations, random
):
    plan = make_plan(*expectations)
    vcpus = list(measurements.vcpus)
    random.shuffle(vcpus)
    shuffled = replace(measurements, vcpus=tuple(vcpus), phases=measurements.phases[::-1])
    assert judge(plan, measurements) == judge(plan, measurements) == judge(plan, shuffled)


@settings(deadline=None)
@given(percents, percents, percents, percents)
def test_steal_passes_only_if_both_sides_are_within(guest_pct, host_pct, low, high):
    window = make_vcpu(guest_pct=guest_pct, host_pct=host_pct)
    (verdict,) = judge(make_plan(expect_steal(low, high)), with_vcpu(WELL, window)).verdicts
    sides = [window.guest_steal_pct, window.host_steal_pct]
    if verdict.outcome is Outcome.PASSED:
        assert all(low <= side <= high for side in sides)
    if verdict.outcome is Outcome.FAILED:
        assert not any(low <= side <= high for side in sides)


@settings(deadline=None)
@given(measured(), bounded())
def test_everything_but_passed_has_a_reason(measurements, expectations):
    for verdict in judge(make_plan(*expectations), measurements).verdicts:
        assert bool(verdict.reason) is (verdict.outcome is not Outcome.PASSED)


@st.composite
def strange(draw: st.DrawFn) -> tuple[LabPlan, Measurements]:
    """Any names, any numbers, any doubts: nothing that a file could hold may break the text."""
    names = draw(st.lists(some_text, min_size=1, max_size=2, unique=True))
    phases = draw(st.lists(some_text, min_size=1, max_size=3, unique=True))
    elapsed = st.integers(0, 10**18)
    doubts = st.lists(some_text, max_size=2).map(tuple)
    keys = [(name, vcpu, phase) for name in names for vcpu in (0, 1) for phase in phases]
    measurements = Measurements(
        phases=tuple(PhaseWindow(phase, 0, draw(elapsed), draw(doubts)) for phase in phases),
        vcpus=tuple(
            VcpuWindow(*key, draw(elapsed), *(draw(any_count) for _ in range(8)), doubts=draw(doubts))
            for key in keys
        ),
        tasks=tuple(
            TaskWindow(name, "busy", task, phase, draw(elapsed), draw(st.integers(0, 10**30)), ())
            for name, task, phase in keys
        ),
        affinities=tuple(TaskAffinity(name, "busy", 0, (draw(some_text),)) for name in names),
        clocks=(),
        retries=draw(doubts),
        foldings=tuple(
            Folding(
                name,
                (draw(st.integers(0, 2)),),
                draw(some_text),
                phase,
                draw(st.sampled_from(phases)),
                None,
                0,
                draw(elapsed),
                draw(any_count),
                draw(elapsed),
                draw(doubts),
            )
            for name, _, phase in keys
        ),
    )
    targets = tuple((name, 0) for name in names)
    expectations = (
        replace(expect_steal(0, 5, targets=targets, phase=phases[0]), text=draw(some_text)),
        ExpectationPlan("throughput", draw(some_text), (), (phases[0], phases[-1]), load="busy", minimum=1),
        ExpectationPlan("affinity_unchanged", draw(some_text), load="busy"),
        ExpectationPlan("affinity_changed", draw(some_text), phases=(phases[0],), load="busy"),
        ExpectationPlan("fold_effect", draw(some_text), ((names[0], -1),), (phases[0],), maximum=500),
    )
    return make_plan(*expectations, nodes=names, phases=phases), measurements


def assert_mailable(text: str) -> None:
    for line in text.split("\n"):
        assert len(line) <= WIDTH
        assert all(" " <= char <= "~" for char in line)


@settings(deadline=None)
@given(strange())
def test_text_is_ascii_and_narrow_whatever_it_is_given(case):
    plan, measurements = case
    judgement = judge(plan, measurements)
    assert_mailable(render_phase_table(plan, measurements))
    assert_mailable(render_fold_table(Evidence(plan, measurements)))
    assert_mailable(render_verdicts(judgement))
    assert_mailable(render_summary(judgement))


@settings(deadline=None)
@given(strange())
def test_document_is_json_and_junit_is_xml_whatever_they_are_given(case):
    plan, measurements = case
    judgement = judge(plan, measurements)
    document = judgement_json(plan, measurements, judgement)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    suite = ET.fromstring(render_junit(plan, judgement)).find("testsuite")
    assert suite is not None
    assert len(suite.findall("testcase")) == len(judgement.verdicts)


@settings(deadline=None)
@given(some_text, some_text, some_text, st.sampled_from(Outcome))
def test_any_verdict_renders(subject, observed, reason, outcome):
    verdict = Verdict(outcome, "expected", subject, "", observed, reason)
    text = render_verdicts(Judgement((verdict,)))
    assert outcome.name in text
    assert_mailable(text)
