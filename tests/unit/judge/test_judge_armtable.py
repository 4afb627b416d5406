# SPDX-License-Identifier: GPL-2.0-only
"""Arms as text for mails and as a document for programs."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from comparing import TOPOLOGY, Arms, arm_speed, evidence_of, measure_arms, plan_arms
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.judge.arms import compare_arms
from lab.judge.armtable import ARMS_WIDTH, decimals_for, figure, render_arms, render_more
from lab.judge.armverdicts import render_short_verdicts, render_windows
from lab.judge.document import judgement_json
from lab.judge.evaluate import judge
from lab.judge.evidence import Evidence
from lab.judge.machinery import render_machinery
from lab.judge.verdict import Judgement, Outcome, Verdict
from lab.stats.morerepeats import MOST

SPEEDS = {"feature-on": 0.9}
WITHOUT_AA = TOPOLOGY.replace(", aa: true", "")


def table(text: str = TOPOLOGY, arms: Arms = SPEEDS, noise: float = 0.01, **more: object) -> str:
    evidence = evidence_of(plan_arms(text), arm_speed(arms, noise), **more)
    report = compare_arms(evidence)
    assert report is not None
    return render_arms(report, evidence)


def flat(text: str) -> str:
    return " ".join(text.split())


def test_the_head_says_what_ran_on_what() -> None:
    first, second = table().splitlines()[:2]
    assert first == "matrix: 4 VMs x 2 vCPUs / 2 pCPUs (nested, emulated)"
    assert second.strip().startswith("4 arms x 6 repeats after 1 of warm-up, order random, seed 3")
    assert "Phase two, load in 2 VMs x 2 vCPUs / 2 pCPUs" in table()


def test_a_row_has_mean_stdev_change_interval_n_and_verdict() -> None:
    line = next(one for one in table().splitlines() if one.startswith("    feature-on"))
    words = line.split()
    assert words[0] == "feature-on"
    assert float(words[1]) == pytest.approx(1800, rel=0.02)
    assert words[2] == "+-"
    assert float(words[3]) < 40
    assert words[4].endswith("%") and float(words[4][:-1]) == pytest.approx(-10, abs=1.5)
    assert words[5].startswith("[-") and words[6].endswith("]")
    assert words[7:] == ["6", "regressed"]


def test_the_noise_floor_is_told() -> None:
    text = flat(table())
    assert "A/A: 'aa' is equal to the baseline. It came out as the same in 8 of 8 metrics" in text
    assert "open (half.throughput in" in text


def test_without_a_a_the_table_says_so() -> None:
    text = flat(table(WITHOUT_AA))
    assert "No A/A: how much two equal arms differ was not measured (`repeats: {aa: true}` does it)" in text
    assert "so that the 3 changes found may be the lab's own." in text


def test_equal_arms_that_differ_are_told() -> None:
    text = flat(table(arms={"aa": 0.8}))
    assert "came out as the same in 5 of 8 metrics" in text
    assert "Equal arms differ in half.throughput in two, half.throughput in four" in text


def test_what_is_inconclusive_says_how_many_more() -> None:
    text = table(WITHOUT_AA, {"feature-on": 0.96}, noise=0.08)
    assert "inconclusive\n" in text
    assert "more repeats" in text


def test_what_was_left_out_is_told_once_for_all_metrics() -> None:
    text = flat(table(doubts={"four.feature-on.3": ("host disturbed: make ran",)}))
    assert text.count("! left out: feature-on, repeat 3: host disturbed: make ran") == 1


def test_a_run_in_which_nothing_was_measured_says_so() -> None:
    plan = plan_arms()
    text = table(missing=tuple(phase.name for phase in plan.phases))
    assert "nothing to compare: no repeat of baseline has any metric" in flat(text)
    assert "nothing of 'aa' was measured" in flat(text)


names = st.text(st.sampled_from("abcdefghij-"), min_size=1, max_size=30).map(lambda name: f"x{name}")


@given(names, st.floats(0.01, 100), st.floats(0.0, 0.5), st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_no_line_is_wider_than_a_mail_quotes(name: str, factor: float, noise: float, count: int) -> None:
    text = TOPOLOGY.replace("feature-on", name).replace("count: 6", f"count: {count}")
    made = table(text, {name: factor}, noise)
    assert max(map(len, made.splitlines())) <= ARMS_WIDTH
    assert made.isascii() and made.endswith("\n")


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (None, 1, "      -"),
        (1.5, 2, "   1.50"),
        (123456.7, 1, " 123457"),
        (12345678.9, 1, " 12346k"),
        (-12345678.9, 1, "-12346k"),
        (1e30, 1, "#######"),
    ],
)
def test_figures_fit(value: float | None, decimals: int, text: str) -> None:
    assert figure(value, 7, decimals) == text


def test_decimals_show_about_five_digits() -> None:
    assert [decimals_for([mean]) for mean in (96808.0, 49.8, 1.2, 0.99, 0.05, None)] == [1, 2, 3, 4, 5, 6]


def test_more_repeats_in_words() -> None:
    assert render_more(1) == "needs about 1 more repeat"
    assert render_more(12) == "needs about 12 more repeats"
    assert render_more(MOST) == "no number of repeats that anybody runs would tell"


def test_guests_of_several_sizes_are_added_up() -> None:
    plan = plan_arms()
    nodes = (replace(plan.nodes[0], vcpus=plan.nodes[0].vcpus[:1]), *plan.nodes[1:])
    assert render_machinery(replace(plan, nodes=nodes)) == "1 VM x 1 vCPU + 3 VMs x 2 vCPUs / 2 pCPUs"


# ---- the rest in short


def test_windows_are_counted() -> None:
    plan = plan_arms()
    missing = tuple(one.name for one in plan.phases[-3:])
    doubts = {plan.phases[0].name: ("too short",)}
    evidence = evidence_of(plan, arm_speed({}), doubts=doubts, missing=missing)
    assert render_windows(evidence) == ("53 of 56 windows measured, warm-up included; 1 of them doubted\n")


def test_retries_are_told_above() -> None:
    plan = plan_arms()
    measurements = replace(measure_arms(plan, arm_speed({})), retries=("guest1: lost in boot (attempt 1)",))
    assert render_windows(Evidence(plan, measurements)).startswith("! retried: guest1: lost in boot")


def many(outcome: Outcome, number: int, reason: str = "") -> list[Verdict]:
    return [Verdict(outcome, "steal: <= 5 %", f"guest{one}", "two", "7.0 %", reason) for one in range(number)]


def test_a_verdict_that_is_alone_is_told() -> None:
    assert "PASSED    guest0, two: 7.0 %" in render_short_verdicts(Judgement(tuple(many(Outcome.PASSED, 1))))


def test_verdicts_that_passed_are_counted() -> None:
    text = render_short_verdicts(Judgement(tuple(many(Outcome.PASSED, 3))))
    assert text == "steal: <= 5 %\n  3 passed\n"


def test_of_many_those_that_did_not_pass_are_told() -> None:
    verdicts = [*many(Outcome.PASSED, 40), *many(Outcome.FAILED, 5, "above the 5 %")]
    text = render_short_verdicts(Judgement(tuple(verdicts)))
    assert "5 failed, 40 passed" in text
    assert text.count("FAILED") == 4
    assert "2 more (all of them: --json)" in text
    assert "because: above the 5 %" in flat(text)
    assert max(map(len, text.splitlines())) <= ARMS_WIDTH


def test_no_verdicts_are_no_text() -> None:
    assert render_short_verdicts(Judgement(())) == ""


# ---- for programs


def test_the_document_has_every_metric_and_comparison() -> None:
    plan = plan_arms()
    measurements = measure_arms(plan, arm_speed(SPEEDS))
    document = judgement_json(plan, measurements, judge(plan, measurements))
    assert json.loads(json.dumps(document)) == document
    compared = document["comparison"]
    assert (compared["baseline"], compared["aa_arm"], compared["repeats"]) == ("baseline", "aa", 6)
    assert len(compared["comparisons"]) == 24
    one = next(
        one
        for one in compared["comparisons"]
        if (one["phase"], one["metric"], one["arm"]) == ("two", "half.throughput", "feature-on")
    )
    assert one["verdict"] == "regressed"
    assert one["n"] == one["baseline"]["n"] == 6
    assert one["interval"][0] < one["change"] < one["interval"][1] < 0
    assert one["aa"] is False
    values = [one for one in document["metrics"] if one["metric"] == "half.throughput"]
    assert len(values) == len(plan.phases)


def test_without_arms_the_document_compares_nothing() -> None:
    plan = replace(plan_arms(), comparison=None)
    measurements = measure_arms(plan, arm_speed({}))
    document = judgement_json(plan, measurements, judge(plan, measurements))
    assert document["comparison"] is None
    assert document["metrics"]
