# SPDX-License-Identifier: GPL-2.0-only
"""Figures that loads report: expectations about them, and their table."""

from __future__ import annotations

from dataclasses import replace

import pytest
from judging import NODES, SECOND_NS, WINDOW_NS, make_measurements, make_plan, with_phase_doubt

from lab.judge.evaluate import judge
from lab.judge.layout import WIDTH
from lab.judge.loadtable import load_documents
from lab.judge.table import render_phase_table
from lab.judge.verdict import Outcome, Verdict
from lab.measure.windows import LoadResult, Measurements
from lab.plan.labplan import ExpectationPlan, LabPlan, LoadMetricPlan, LoadPlan

METRICS = (
    LoadMetricPlan("time", "s", "lower", "mean"),
    LoadMetricPlan("messages", "1/s", "higher", "sum"),
    LoadMetricPlan("worst", "us", "lower", "max"),
)


def result(
    node: str, phase: str, time_s: float, doubts: tuple[str, ...] = (), late_ns: int = 0
) -> LoadResult:
    begin_ns = (0 if phase == "contended" else 2 * WINDOW_NS) + late_ns
    values = (("time", time_s), ("messages", 1000 / time_s), ("worst", 10 * time_s))
    return LoadResult(node, "hack", phase, begin_ns, begin_ns + 10 * SECOND_NS, 0, values, doubts)


def measured(*results: LoadResult) -> Measurements:
    return replace(make_measurements(), load_results=results)


ALL = (
    result("guest1", "contended", 4.0),
    result("guest2", "contended", 5.0, late_ns=2_500_000),
    result("guest1", "folded", 2.0),
    result("guest2", "folded", 2.5),
)


def plan(*expectations: ExpectationPlan) -> LabPlan:
    made = make_plan(*expectations)
    loads = tuple(
        LoadPlan("hack", node, "hackbench", 2, (), ("hackbench",), "itself", metrics=METRICS)
        for node in NODES
    )
    return replace(made, loads=loads)


def verdict(
    measurements: Measurements,
    metric: str = "time",
    phases: tuple[str, ...] = ("contended",),
    minimum: float | None = None,
    maximum: float | None = None,
) -> Verdict:
    expectation = ExpectationPlan(
        "reported", "reported", phases=phases, load="hack", metric=metric, minimum=minimum, maximum=maximum
    )
    (found,) = judge(plan(expectation), measurements).verdicts
    return found


@pytest.mark.parametrize(("metric", "value"), [("time", 4.5), ("messages", 450.0), ("worst", 50.0)])
def test_guests_make_one_number_as_the_metric_says(metric: str, value: float) -> None:
    within = verdict(measured(*ALL), metric, minimum=value - 0.01, maximum=value + 0.01)
    above = verdict(measured(*ALL), metric, maximum=value - 0.01)
    assert (within.outcome, above.outcome) == (Outcome.PASSED, Outcome.FAILED)
    assert within.subject == "load hack" and within.observed.startswith(f"{value:g} ")


def test_without_bounds_it_has_to_be_reported() -> None:
    assert verdict(measured(*ALL)).outcome is Outcome.PASSED
    missing = verdict(measured())
    assert missing.outcome is Outcome.UNDECIDED
    assert missing.reason == "no run of hack was seen in phase contended"


def test_over_a_baseline_the_bounds_are_ratios() -> None:
    phases = ("folded", "contended")
    found = verdict(measured(*ALL), phases=phases, minimum=0.49, maximum=0.51)
    assert found.outcome is Outcome.PASSED and found.observed == "0.50 (2.25 s over 4.5 s)"
    assert verdict(measured(*ALL), phases=phases, minimum=0.6).outcome is Outcome.FAILED


def test_a_doubted_run_decides_nothing() -> None:
    results = (ALL[0], replace(ALL[1], doubts=("it ended with status 1",)))
    found = verdict(measured(*results), maximum=1)
    assert found.outcome is Outcome.UNDECIDED and "hack on guest2: it ended with status 1" in found.reason


def test_a_guest_that_reported_nothing_decides_nothing() -> None:
    found = verdict(measured(ALL[0]), minimum=0)
    assert found.outcome is Outcome.UNDECIDED and "hack on guest2 reported nothing" in found.reason


def test_a_metric_that_no_output_had_is_told_with_the_reason() -> None:
    results = [replace(one, values=(), doubts=("its output does not tell time",)) for one in ALL[:2]]
    found = verdict(measured(*results))
    assert found.outcome is Outcome.UNDECIDED and found.observed == "nothing"
    assert "hack on guest1: its output does not tell time" in found.reason


def test_a_doubted_phase_decides_nothing() -> None:
    doubted = with_phase_doubt(measured(*ALL), "contended", "host disturbed: a test")
    found = verdict(doubted, maximum=1)
    assert found.outcome is Outcome.UNDECIDED and "host disturbed" in found.reason


def test_the_table_has_every_guest_and_all_of_them_and_how_far_apart_they_began() -> None:
    text = render_phase_table(plan(), measured(*ALL))
    lines = [line.split() for line in text.splitlines()]
    assert ["hack", "guest2", "time", "5.0", "s"] in lines
    assert ["hack", "sum", "messages", "450.0", "1/s"] in lines
    assert ["hack", "max", "worst", "50.0", "us"] in lines
    assert "  hack ran for 10.0 s, begun within 2.5 ms" in text
    assert all(len(line) <= WIDTH for line in text.splitlines())


def test_the_table_tells_doubts_of_runs() -> None:
    doubted = replace(ALL[0], doubts=("it ended with status 1",))
    assert "! hack on guest1: it ended with status 1" in render_phase_table(plan(), measured(doubted))


def test_results_as_documents() -> None:
    (document,) = load_documents([ALL[0]])
    assert document["values"] == {"time": 4.0, "messages": 250.0, "worst": 40.0}
    assert (document["node"], document["phase"], document["doubts"]) == ("guest1", "contended", [])
