# SPDX-License-Identifier: GPL-2.0-only
"""Preemptions of a recording as a table and as a document, with traces and without."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judging import VCPUS, make_measurements, make_plan
from tracing import make_trace, make_traced, traced

from lab.judge.delaysources import delay_of
from lab.judge.evidence import Evidence
from lab.judge.layout import WIDTH
from lab.judge.preemptdocument import preempt_document
from lab.judge.preempttable import LEGEND, render_preempt
from lab.trace.summary import HitBy, Holders, PhaseTrace, Physics, TakerPattern

GOLDEN = Path(__file__).parents[2] / "golden" / "preempt.txt"
BY = (HitBy("guest2 vcpu 0", 1800, 7_200_000_000), HitBy("hog noisy", 200, 800_000_000))
HOLDERS = Holders(1000, 100, None, 3, None, told_by_tick=400)
#: Twice as many as half as long, down to 1/16 of 8 ms.
LENGTHS_MS = tuple(8 / 2**power for power in range(5) for _ in range(50 * 2**power))


def make_evidence(trace: PhaseTrace) -> Evidence:
    return Evidence(make_plan(), traced(trace))


def make_whole() -> PhaseTrace:
    vcpus = [
        make_traced(
            node,
            vcpu,
            lengths_ms=LENGTHS_MS if node == "guest2" else (4.0,) * 2000,
            by=BY,
            holders=HOLDERS if node == "guest1" else None,
            error_ns=12_000,
        )
        for node, vcpu in VCPUS
    ]
    pattern = TakerPattern("hog noisy", 99, 200, 100_000_000, 300_000, 20_100_000, 200_000, 20_000_000)
    physics = [Physics("guest1", "contended", 20_000, 0, 3_000, 15_000)]
    trace = make_trace(*vcpus, physics=physics, lost={"@host": 0, "guest1": 3})
    return replace(
        trace, patterns=(pattern, replace(pattern, taker="foreign sh", period_spread_ns=50_000_000))
    )


def test_a_traced_phase_and_one_that_was_not_as_text():
    evidence = make_evidence(make_whole())
    shown = "\n".join(render_preempt(evidence, phase) for phase in ("contended", "folded"))
    assert shown == GOLDEN.read_text()


def test_a_phase_that_was_not_measured_is_told_in_a_line():
    evidence = Evidence(make_plan(), replace(make_measurements(), phases=()))
    assert render_preempt(evidence, "contended") == "Phase contended: not measured\n"


def test_lost_events_and_doubts_stand_below():
    trace = replace(make_whole(), lost={"@host": 7}, doubts=("the host's trace: cut off",))
    shown = render_preempt(make_evidence(trace), "contended")
    assert "lost events: 7 of the host\n! the host's trace: cut off\n! 7 events of the host's trace" in shown


def test_three_sources_of_one_quantity_and_how_far_they_lie_apart():
    one = delay_of(make_evidence(make_trace()), "guest1", 0, "contended")
    assert (one.trace_pct, one.schedstat_pct, one.guest_pct) == pytest.approx((42.0, 50.1, 49.8))
    assert one.apart_pct == pytest.approx(8.1)
    assert delay_of(make_evidence(make_trace()), "guest1", 0, "nowhere").apart_pct is None


def test_the_document_has_numbers_with_intervals_and_is_json():
    document = preempt_document(make_evidence(make_whole()), ["contended", "folded"])
    assert json.loads(json.dumps(document)) == document
    contended, folded = document["phases"]
    assert (contended["traced"], folded["traced"]) == (True, False)
    vcpu = contended["vcpus"][0]
    assert vcpu["trace"]["per_s"]["value"] == 100
    assert vcpu["trace"]["preemptions"]["p99_ns"] == {"value": 4e6, "interval": [4e6, 4e6]}
    assert vcpu["trace"]["by"][1] == {"taker": "hog noisy", "count": 200, "total_ns": 800_000_000}
    assert sum(one["count"] for one in vcpu["trace"]["preemptions"]["histogram"]) == 2000
    assert contended["patterns"][0]["periodic"] is True
    assert contended["lost"] == {"@host": 0, "guest1": 3}
    assert folded["vcpus"][0]["trace"] is None
    assert folded["vcpus"][0]["run_delay_pct"]["schedstat"] == pytest.approx(0.4)


def test_an_open_interval_ends_in_none():
    trace = make_trace(make_traced(lengths_ms=(1.0, 2.0)))
    (phase,) = preempt_document(make_evidence(trace), ["contended"])["phases"]
    assert phase["vcpus"][0]["trace"]["preemptions"]["p99_ns"]["interval"][1] is None


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.floats(0.0001, 1e7), max_size=40),
    st.text(max_size=40),
    st.integers(0, 10**18),
    st.lists(st.text(max_size=100), max_size=2),
)
def test_text_stays_narrow_and_plain_whatever_is_in_it(lengths, taker, count, doubts):
    vcpu = make_traced(lengths_ms=lengths, by=[HitBy(taker, count, count)], holders=HOLDERS, error_ns=count)
    physics = [Physics("guest1", "contended", count, count, count, count)]
    trace = make_trace(vcpu, physics=physics, lost={"guest1": count}, doubts=tuple(doubts))
    shown = render_preempt(make_evidence(trace), "contended")
    assert all(len(line) <= WIDTH and line.isascii() for line in shown.splitlines())
    assert LEGEND.isascii()
