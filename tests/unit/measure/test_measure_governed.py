# SPDX-License-Identifier: GPL-2.0-only
"""Decisions of governors, and the recorded steal over the periods that they were made from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from measuring import MS, FakeEvent, S, World, plan_for

from lab.measure.derive import measure_recording
from lab.measure.windows import GovernDecision, Measurements
from lab.plan.labplan import KnobSetting, LabPlan, MeasurePlan, PhasePlan, WatchPlan

MASK = "/sys/devices/system/cpu/paravirt"
PREFERRED = "/sys/devices/system/cpu/preferred"
WORLD = World()


def watching(**more: Any) -> LabPlan:
    """A plan whose guest's probe watches both masks; the phase is WORLD's."""
    watch = (WatchPlan("avoid_cpus", MASK), WatchPlan("avoid_cpus", PREFERRED, complement=True))
    phase = PhasePlan("contended", 20 * S, 2 * S, (), (), ())
    return replace(plan_for(WORLD), measure=MeasurePlan(100, 2.0, watch), phases=(phase,), **more)


def setting(knob: str, value: str) -> KnobSetting:
    return KnobSetting("guest1", knob, value, "integer", ())


GOVERNED = (setting("steal.enable", "1"), setting("steal.high", "600"), setting("steal.period", "2000"))


def with_files(values: dict[int, str], path: str = MASK) -> bytes:
    """WORLD's guest stream; its samples of these numbers tell a watched file."""
    lines = []
    for line in WORLD.guest_bytes().decode().splitlines(keepends=True):
        lines.append(line)
        if line.startswith("b ") and int(line.split()[1]) in values:
            lines.append(f"f {path} {values[int(line.split()[1])]}\n")
    return "".join(lines).encode()


def measure(plan: LabPlan, guest: bytes, *events: FakeEvent) -> Measurements:
    """What is said of a recording in which arrivals are those of `guest`."""

    class Telling(World):
        def guest_bytes(self) -> bytes:
            return guest

        def _guest_samples(self) -> list[tuple[int, bytes]]:
            times = [t_ns for t_ns, _ in World()._guest_samples()]
            chunks = guest.split(b"b ")
            return list(zip(times, [chunks[0], *(b"b " + one for one in chunks[1:])], strict=True))

    world = Telling()
    return measure_recording(world.recording(world.phase_event(), *events), plan)


def host_ns(sample: float) -> int:
    return WORLD.to_host_ns(S + round(sample * 100 * MS))


def govern(**changes: Any) -> FakeEvent:
    """An own decision in the middle of the phase, from the second before it."""
    data = {
        "node": "guest1",
        "source": "steal",
        "action": "step-down",
        "bound": False,
        "seen_pct": 50.2,
        "high_pct": 4.0,
        "low_pct": 1.5,
        "clock": "guest",
        "from_ns": S + 100 * 100 * MS + 10_000,
        "to_ns": S + 110 * 100 * MS + 10_000,
        "by": "mask",
        "before": "",
        "after": "1",
        "write_ns": 20 * MS,
    }
    return FakeEvent(host_ns(112), "govern", {**data, **changes})


def only(measurements: Measurements) -> GovernDecision:
    (decision,) = measurements.decisions
    return decision


def test_an_own_decision_has_the_recorded_steal_of_its_period_on_both_sides() -> None:
    decision = only(measure(watching(), WORLD.guest_bytes(), govern()))
    assert (decision.node, decision.phase, decision.source, decision.action) == (
        "guest1",
        "contended",
        "steal",
        "step-down",
    )
    assert (decision.before, decision.after, decision.write_ns) == ((), (1,), 20 * MS)
    assert decision.seen_pct == 50.2
    assert decision.guest_pct == pytest.approx(50, abs=1.1)
    assert decision.host_pct == pytest.approx(50, abs=0.5)
    assert decision.since_begin_ns == pytest.approx(6.2 * S, abs=10 * MS)


def test_a_hint_has_its_period_by_the_hosts_clock() -> None:
    event = govern(
        source="host", clock="host", high_pct=None, low_pct=None, from_ns=host_ns(100), to_ns=host_ns(110)
    )
    decision = only(measure(watching(), WORLD.guest_bytes(), event))
    assert decision.source == "host" and decision.high_pct is None
    assert decision.guest_pct == pytest.approx(50, abs=1.1)


def test_the_time_since_the_phases_changes_counts_its_settling() -> None:
    measured = measure(watching(), WORLD.guest_bytes(), govern())
    phase = WORLD.phase_event()
    begun = FakeEvent(phase.t_ns, "phase", {**phase.data, "begin_ns": phase.data["start_ns"] - 3 * S})
    early = measure_recording(WORLD.recording(begun, govern()), watching())
    assert only(early).since_begin_ns - only(measured).since_begin_ns == pytest.approx(3 * S, abs=10 * MS)


def test_what_is_outside_of_every_phase_belongs_to_none() -> None:
    event = govern()
    late = FakeEvent(host_ns(290), event.kind, event.data)
    assert measure(watching(), WORLD.guest_bytes(), late).decisions == ()


def test_changes_of_watched_files_are_on_the_hosts_clock() -> None:
    guest = with_files({0: "-", 50: "-", 99: "3", 100: "3", 150: "2-3"})
    changes = measure(watching(), guest).file_changes
    assert [(one.old, one.new, one.name) for one in changes] == [
        ("", "3", "avoid_cpus"),
        ("3", "2-3", "avoid_cpus"),
    ]
    assert changes[0].after_ns == pytest.approx(host_ns(98), abs=10 * MS)
    assert changes[0].by_ns == pytest.approx(host_ns(99), abs=10 * MS)


def test_a_file_that_nobody_asked_for_is_left_out() -> None:
    assert measure(watching(), with_files({0: "1", 50: "2"}, "/sys/other")).file_changes == ()


def test_a_mask_that_the_lab_did_not_write_is_the_kernels_decision() -> None:
    guest = with_files({0: "-", 100: "1", 150: "-"})
    down, up = measure(watching(knobs=GOVERNED), guest).decisions
    assert (down.source, down.action, down.before, down.after) == ("kernel", "step-down", (), (1,))
    assert (up.action, up.before, up.after) == ("step-up", (1,), ())
    assert (down.high_pct, down.low_pct, down.seen_pct) == (6.0, 1.5, None)
    assert down.t_ns == pytest.approx(host_ns(99.5), abs=10 * MS)
    assert down.guest_pct == pytest.approx(50, abs=1.1) and down.host_pct == pytest.approx(50, abs=0.5)


def test_a_mask_of_preferred_vcpus_is_turned_round() -> None:
    guest = with_files({0: "0-1", 100: "0"}, PREFERRED)
    assert only(measure(watching(knobs=GOVERNED), guest)).after == (1,)


def test_without_the_kernels_governor_a_change_is_no_decision() -> None:
    assert measure(watching(), with_files({0: "-", 100: "1"})).decisions == ()


def test_what_the_lab_wrote_is_not_the_kernels() -> None:
    written = {
        "node": "guest1",
        "knob": "avoid_cpus",
        "host_t0_ns": host_ns(98.2),
        "host_t1_ns": host_ns(98.6),
    }
    guest = with_files({0: "-", 99: "1", 150: "-"})
    left = measure(watching(knobs=GOVERNED), guest, FakeEvent(host_ns(98.6), "knob", written)).decisions
    assert [one.action for one in left] == ["step-up"]


def test_the_kernels_thresholds_are_those_of_the_phase() -> None:
    before = PhasePlan("before", S, S, (setting("steal.enable", "1"), setting("steal.low", "300")), (), ())
    now = PhasePlan("contended", S, S, (setting("steal.high", "900"),), (), ())
    after = PhasePlan("after", S, S, (setting("steal.high", "5000"), setting("steal.enable", "0")), (), ())
    plan = replace(watching(), phases=(before, now, after))
    decision = only(measure(plan, with_files({0: "-", 100: "1"})))
    assert (decision.high_pct, decision.low_pct) == (9.0, 3.0)


def test_a_period_that_was_not_seen_has_no_ratio() -> None:
    silent = World(silent_ms=(0, 29_000))
    decision = only(measure_recording(silent.recording(WORLD.phase_event(), govern()), watching()))
    assert decision.guest_pct is None and decision.host_pct is None
