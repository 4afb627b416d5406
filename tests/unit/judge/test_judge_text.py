# SPDX-License-Identifier: GPL-2.0-only
"""What people and programs read: tables, verdicts, the document, JUnit."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
from judging import (
    VCPUS,
    WINDOW_NS,
    expect_steal,
    make_measurements,
    make_plan,
    make_task,
    make_vcpu,
    with_phase_doubt,
    with_vcpu,
)

from lab.judge.document import judgement_json
from lab.judge.evaluate import judge
from lab.judge.junit import render_junit
from lab.judge.layout import clip, number
from lab.judge.table import render_phase_table, render_summary, render_verdicts
from lab.judge.verdict import Judgement, Outcome, Verdict
from lab.measure.windows import Measurements
from lab.plan.labplan import ExpectationPlan

GOLDEN = Path(__file__).parents[2] / "golden"
WELL = make_measurements()


def make_troubled() -> Measurements:
    """A phase in doubt, a vCPU in doubt, a guest that had to be booted twice."""
    doubted = with_phase_doubt(
        WELL, "folded", "the host VM itself waited 12.0 % of the window, more than the 5 % that may be lost"
    )
    troubled = with_vcpu(doubted, make_vcpu(guest_pct=None, doubts=("3 samples of the guest were dropped",)))
    return replace(troubled, retries=("guest2 was lost in boot (its emulator ended) and started again",))


PLAN = make_plan(
    replace(expect_steal(40, 60, targets=VCPUS), text="steal between 40 % and 60 % in contended"),
    replace(expect_steal(None, 5, targets=VCPUS, phase="folded"), text="steal at most 5 % in folded"),
    ExpectationPlan("affinity_unchanged", "the affinity of busy does not change", load="busy"),
)


@pytest.mark.parametrize(("name", "measurements"), [("well", WELL), ("troubled", make_troubled())])
def test_report_is_as_it_was(name, measurements):
    judgement = judge(PLAN, measurements)
    text = "\n".join(
        [
            render_phase_table(PLAN, measurements),
            render_verdicts(judgement),
            render_summary(judgement) + "\n",
        ]
    )
    assert text == (GOLDEN / f"report-{name}.txt").read_text()


def test_a_phase_that_was_not_measured_is_said():
    text = render_phase_table(
        PLAN, replace(WELL, phases=WELL.phases[:1], vcpus=WELL.vcpus[:4], tasks=WELL.tasks[:4])
    )
    assert "Phase folded: not measured\n" in text
    assert "49.8 ->      -" in text


def test_a_vcpu_that_was_not_seen_keeps_its_row():
    text = render_phase_table(PLAN, replace(WELL, vcpus=WELL.vcpus[1:]))
    assert "  guest1    0    0    50.0      -      -     -        -        -\n" in text
    assert "! guest1 vcpu 0: not seen" in text


def test_before_and_after_needs_two_phases():
    one = make_plan(phases=("contended",))
    assert "->" not in render_phase_table(one, WELL)


def test_idle_tasks_are_said():
    idle = replace(WELL, tasks=(make_task(work=0), *WELL.tasks[1:]))
    assert "! no work was done by busy task 0 on guest1\n" in render_phase_table(PLAN, idle)


def test_clip_keeps_what_tells_names_apart():
    assert clip("a-very-long-name-of-a-guest12", 12) == "a-very~est12"
    assert clip("short", 12) == "short"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "     -"),
        (49.84, "  49.8"),
        (12345.6, " 12346"),
        (123456789.0, " 1e+08"),
        (-1e100, "######"),
    ],
)
def test_numbers_give_up_digits_rather_than_the_table(value, text):
    assert number(value, 6) == text


@pytest.mark.parametrize(
    ("outcomes", "summary"),
    [
        ((), "SKIPPED: nothing was expected, so nothing was judged"),
        ((Outcome.PASSED, Outcome.PASSED), "PASSED: 2 passed"),
        ((Outcome.PASSED, Outcome.FAILED, Outcome.UNDECIDED), "FAILED: 1 failed, 1 undecided, 1 passed"),
        ((Outcome.SKIPPED,), "SKIPPED: 1 skipped (nothing was judged)"),
        ((Outcome.SKIPPED, Outcome.PASSED), "PASSED: 1 passed, 1 skipped"),
    ],
)
def test_summary(outcomes, summary):
    judgement = Judgement(tuple(Verdict(outcome, "e", "s", "p", "o", "r") for outcome in outcomes))
    assert render_summary(judgement) == summary


def test_document_has_its_keys_and_units():
    document = judgement_json(PLAN, WELL, judge(PLAN, WELL))
    assert document["outcome"] == "passed"
    assert (document["name"], document["lab_id"], document["format"]) == ("quickstart", "lab-1234", 1)
    assert len(document["verdicts"]) == 9
    assert document["verdicts"][-1]["phase"] is None
    assert document["phases"][0] == {
        "phase": "contended",
        "start_ns": 0,
        "end_ns": WINDOW_NS,
        "doubts": [],
        "work_doubts": [],
        "skipped": [],
    }
    vcpu = document["vcpus"][0]
    assert (vcpu["node"], vcpu["vcpu"], vcpu["phase"], vcpu["pcpus"]) == ("guest1", 0, "contended", [0])
    assert (vcpu["guest_steal_pct"], vcpu["host_steal_pct"]) == pytest.approx((49.8, 50.1))
    assert vcpu["predicted_steal_pct"] == 50.0
    assert (vcpu["slices"], vcpu["slices_per_s"]) == (5000, 250.0)
    load = document["loads"][0]
    assert (load["load"], load["phase"], load["work_per_s"]) == ("busy", "contended", 1200.0)
    assert load["nodes"] == [{"node": node, "work_per_s": 600.0} for node in ("guest1", "guest2")]
    assert load["tasks"][0]["seen_on_vcpus"] == [0]
    assert document["affinities"][0]["affinities"] == ["0-1"]
    assert document["clocks"][0] == {"node": "guest1", "offset_ns": 1234, "error_ns": 56}
    assert document["retries"] == []


def test_document_survives_json():
    document = judgement_json(PLAN, make_troubled(), judge(PLAN, make_troubled()))
    assert json.loads(json.dumps(document)) == document
    assert document["vcpus"][0]["doubts"] == ["3 samples of the guest were dropped"]
    assert document["vcpus"][0]["guest_steal_pct"] is None


def test_a_window_of_a_vcpu_the_plan_does_not_know_is_kept():
    stray = replace(WELL, vcpus=(make_vcpu("stray", 7),))
    (vcpu,) = judgement_json(PLAN, stray, judge(PLAN, stray))["vcpus"]
    assert (vcpu["node"], vcpu["pcpus"], vcpu["predicted_steal_pct"]) == ("stray", None, None)


def make_verdict(outcome: Outcome) -> Verdict:
    return Verdict(
        outcome, 'steal < 5 % & "more"', "guest1 vcpu 0", "folded", "guest 7.0 %, host 7.1 %", "why"
    )


def test_junit_says_each_outcome_in_its_own_way():
    text = render_junit(PLAN, Judgement(tuple(map(make_verdict, Outcome))))
    suite = ET.fromstring(text).find("testsuite")
    assert suite is not None
    assert {key: suite.get(key) for key in ("name", "tests", "failures", "errors", "skipped")} == {
        "name": "quickstart",
        "tests": "4",
        "failures": "1",
        "errors": "1",
        "skipped": "1",
    }
    properties = {p.get("name"): p.get("value") for p in suite.findall("properties/property")}
    assert properties == {"lab_id": "lab-1234", "host": "nested", "outcome": "failed"}
    passed, failed, undecided, skipped = suite.findall("testcase")
    assert [child.tag for child in passed] == ["properties"]
    assert failed.find("failure").get("message") == "why"
    assert undecided.find("error").get("type") == "undecided"
    assert skipped.find("skipped") is not None
    assert failed.get("classname") == "quickstart.folded"
    assert failed.get("name") == 'steal < 5 % & "more": guest1 vcpu 0'
    observed = {p.get("name"): p.get("value") for p in failed.findall("properties/property")}
    assert observed["observed"] == "guest 7.0 %, host 7.1 %"


def test_junit_of_a_verdict_without_a_phase_and_with_control_characters():
    verdict = replace(make_verdict(Outcome.FAILED), phase="", reason="bell \x07 rang")
    case = ET.fromstring(render_junit(PLAN, Judgement((verdict,)))).find("testsuite/testcase")
    assert case.get("classname") == "quickstart"
    assert case.find("failure").get("message") == "bell ? rang"
