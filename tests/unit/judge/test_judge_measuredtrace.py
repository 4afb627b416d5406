# SPDX-License-Identifier: GPL-2.0-only
"""Figures of traced vCPUs as a test compares them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from judging import make_measurements, make_plan
from tracing import make_trace, make_traced, traced

from lab.errors import UndecidedError
from lab.judge.evidence import Evidence
from lab.judge.measured import MeasuredPhase
from lab.judge.measuredtrace import TracedVcpu
from lab.trace.summary import HitBy


def make_phase(*vcpus, **changes):
    measurements = replace(traced(make_trace(*vcpus)), **changes)
    return MeasuredPhase("contended", Evidence(make_plan(), measurements), {})


def test_what_is_compared_is_all_of_the_error_bar():
    rate = make_phase().preempted("guest1", 0).rate
    assert rate.value == 100
    assert rate < 110
    assert not rate > 110
    assert rate >= 90
    assert str(rate) == "preemptions of guest1 vcpu 0 in phase contended: 100/s (95 %: 95.7 .. 104/s)"
    with pytest.raises(UndecidedError, match="< 102: the bound lies within the error bar"):
        assert rate < 102


def test_an_error_bar_equals_no_number():
    with pytest.raises(TypeError, match="equals no number"):
        assert make_phase().preempted("guest1", 0).share == 40


def test_lengths_are_in_ms_and_the_clock_counts():
    vcpu = TracedVcpu(make_traced(error_ns=100_000))
    assert vcpu.length("p99") < 4.5
    assert vcpu.length("max") > 3.5
    with pytest.raises(UndecidedError):
        assert vcpu.length("max") < 4.1
    assert vcpu.wakeup_latency("p50") <= 1.2
    assert vcpu.share > 36


def test_takers_go_by_their_names():
    vcpu = TracedVcpu(make_traced(by=[HitBy("hog noisy", 200, 800_000_000)]))
    assert vcpu.by("hog noisy") > 8
    assert vcpu.by("guest2") < 1


def test_nothing_has_no_length():
    with pytest.raises(UndecidedError, match="there was none in the window"):
        TracedVcpu(make_traced(lengths_ms=())).length("p50")


@pytest.mark.parametrize(
    ("phase", "reason"),
    [
        (make_phase(traces=()), "phase contended was not traced"),
        (make_phase(traces=(make_trace(lost={"@host": 3}),)), "3 events of the host's trace were lost"),
        (make_phase(make_traced("guest2", 0)), "guest1 vcpu 0 is not in the trace"),
        (MeasuredPhase("nowhere", Evidence(make_plan(), make_measurements()), {}), "was not measured"),
    ],
)
def test_what_was_not_traced_or_is_doubted_is_undecided(phase, reason):
    with pytest.raises(UndecidedError, match=reason):
        phase.preempted("guest1", 0)
