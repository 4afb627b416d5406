# SPDX-License-Identifier: GPL-2.0-only
"""A run of two real KVM guests, measured again (tests/data/streams/README.md)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from measuring import FakeEvent, FakeRecording, World, plan_for

from lab.measure.derive import measure_recording
from lab.measure.probestream import parse_stream
from lab.measure.windows import Measurements

STREAMS = Path(__file__).parents[2] / "data" / "streams"


@pytest.fixture(scope="module")
def measured() -> Measurements:
    host = (STREAMS / "host.stream").read_bytes()
    start, end = (mark.t_ns for mark in parse_stream(host).marks)
    phase = FakeEvent(end, "phase", {"phase": "contended", "start_ns": start, "end_ns": end})
    guests = {name: (STREAMS / f"{name}.stream").read_bytes() for name in ("guest1", "guest2")}
    plan = plan_for(World())
    plan = replace(plan, nodes=(plan.nodes[0], replace(plan.nodes[0], name="guest2")))
    return measure_recording(FakeRecording([phase], guests, host), plan)


def test_every_vcpu_waited_half_of_the_time_on_both_sides(measured: Measurements) -> None:
    assert len(measured.vcpus) == 4
    for window in measured.vcpus:
        assert window.guest_steal_pct == pytest.approx(50, abs=1.5)
        assert window.host_steal_pct == pytest.approx(50, abs=1.5)
        assert window.disagreement_pct is not None and window.disagreement_pct < 0.25
        assert window.involuntary_switches is not None and window.involuntary_switches > 500


def test_the_silence_of_the_probes_is_told(measured: Measurements) -> None:
    doubts = {window.node: window.doubts for window in measured.vcpus}
    assert doubts["guest1"] == ("the probe of guest1 took no sample for 2803 ms (interval 100 ms)",)
    assert doubts["guest2"] == ("the probe of guest2 took no sample for 2141 ms (interval 100 ms)",)


def test_busy_tasks_stayed_where_they_were(measured: Measurements) -> None:
    assert {task.seen_on for task in measured.tasks} == {(0,), (1,)}
    assert {one.affinities for one in measured.affinities} == {("0-1",)}
    assert all(task.work > 100_000 for task in measured.tasks)


def test_clocks_match_within_some_milliseconds(measured: Measurements) -> None:
    assert len(measured.clocks) == 2
    assert all(clock.error_ns < 10_000_000 for clock in measured.clocks)
