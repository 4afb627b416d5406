# SPDX-License-Identifier: GPL-2.0-only
"""From streams to windows: the numbers, and each reason to doubt them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measuring import MS, FakeEvent, FakeKvm, FakeRecording, S, World, plan_for

from lab.errors import RecordingError
from lab.measure.derive import measure_recording
from lab.measure.windows import Measurements, VcpuWindow


def measure(world: World, recording: FakeRecording | None = None) -> Measurements:
    return measure_recording(recording or world.recording(), plan_for(world))


def first_vcpu(world: World, recording: FakeRecording | None = None) -> VcpuWindow:
    return measure(world, recording).vcpus[0]


def only_doubt(window: VcpuWindow) -> str:
    (doubt,) = window.doubts
    return doubt


def test_both_sides_over_the_same_stretch() -> None:
    world = World(guest_steal=0.5, host_delay=0.5)
    measured = measure(world)
    assert len(measured.vcpus) == 2
    for window in measured.vcpus:
        assert window.doubts == ()
        assert window.elapsed_ns == pytest.approx(20 * S, abs=0.2 * S)
        assert window.guest_steal_pct == pytest.approx(50, abs=0.1)
        assert window.host_steal_pct == pytest.approx(50, abs=0.01)
        assert window.host_run_ns == pytest.approx(0.5 * window.elapsed_ns, rel=1e-3)
        assert window.involuntary_switches == pytest.approx(window.elapsed_ns / (20 * MS), abs=2)
        assert window.kvm_preemption_reported is None
    assert measured.phases[0].doubts == ()


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 1), st.integers(0, 10**14), st.integers(10, 400))
def test_steal_is_found_whatever_clock_share_and_interval(
    share: float, offset_ns: int, interval_ms: int
) -> None:
    world = World(guest_steal=share, host_delay=share, offset_ns=offset_ns, interval_ms=interval_ms, vcpus=1)
    window = first_vcpu(world)
    assert window.guest_steal_pct == pytest.approx(100 * share, abs=0.2)
    assert window.disagreement_pct is not None and window.disagreement_pct < 0.2


def test_a_drifting_guest_clock_does_not_move_the_window_away() -> None:
    world = World(rate=0.9995, length_s=40)
    window = first_vcpu(world, world.recording(world.phase_event(start_s=12)))
    assert window.host_steal_pct == pytest.approx(50, abs=0.2)
    assert window.guest_steal_pct == pytest.approx(50, abs=0.2)


def test_tasks_and_affinities() -> None:
    measured = measure(World(work_per_s=1000))
    assert [task.task for task in measured.tasks] == [0, 1]
    for task in measured.tasks:
        assert task.work == pytest.approx(1000 * task.elapsed_ns / S, abs=2)
        assert task.seen_on == (task.task,)
    assert [one.affinities for one in measured.affinities] == [("0-1",), ("0-1",)]


def test_every_affinity_is_kept_in_order() -> None:
    world = World(vcpus=1)
    data = world.guest_bytes()
    changed = data.replace(b" 0 0-1\ne 150 ", b" 0 1\ne 150 ")
    assert changed != data
    (found,) = measure(world, world.recording(guests={world.node: changed})).affinities
    assert found.affinities == ("0-1", "1")


def test_a_load_started_anew_counts_from_its_start() -> None:
    world = World(vcpus=1)
    lines = world.guest_bytes().split(b"\n")
    half = len(lines) // 2
    restarted = [line.replace(b"w busy 0 70 ", b"w busy 0 99 ") for line in lines[half:]]
    measured = measure(world, world.recording(guests={world.node: b"\n".join(lines[:half] + restarted)}))
    assert measured.tasks[0].elapsed_ns < 15 * S
    assert measured.tasks[0].work == pytest.approx(1000 * measured.tasks[0].elapsed_ns / S, abs=2)


def kvm_readings(world: World, at_s: list[float], name: str = "preemption_reported.sum") -> list[FakeKvm]:
    start_ns = world.to_host_ns(S)
    return [
        FakeKvm(t, t + 2, world.node, 0, {name: round(10 * s), "preemption_other.sum": round(3 * s)})
        for s in at_s
        for t in [start_ns + round(s * S)]
    ]


@pytest.mark.parametrize("at_s", [[0, 4, 26, 28], [5.2, 24.9]])
def test_kvm_counters_are_brought_to_the_window(at_s: list[float]) -> None:
    world = World()
    window = first_vcpu(world, world.recording(kvm=kvm_readings(world, at_s)))
    assert window.kvm_preemption_reported == pytest.approx(200, abs=3)
    assert window.kvm_preemption_other == pytest.approx(60, abs=3)


@pytest.mark.parametrize("readings", [[10.0, 12.0], [10.0]])
def test_kvm_counters_of_a_small_part_do_not_count(readings: list[float]) -> None:
    world = World()
    assert first_vcpu(world, world.recording(kvm=kvm_readings(world, readings))).kvm_preemption_other is None


def test_every_counter_that_libvirt_tells_is_brought_to_the_window() -> None:
    """Some may be read only later, or only once: that is no reason to leave out the rest."""
    world = World()
    start_ns = kvm_readings(world, [0])[0].t0_ns

    def reading(s: float, counters: dict[str, int]) -> FakeKvm:
        return FakeKvm(start_ns + round(s * S), start_ns + round(s * S) + 2, world.node, 0, counters)

    window = first_vcpu(
        world,
        world.recording(
            kvm=[
                reading(0, {"exits": 0, "wait": 0, "directed_yield_attempted.sum": 0, "io_exits": 7}),
                reading(14, {"exits": 1400, "directed_yield_attempted.sum": 140}),
                reading(28, {"exits": 2800, "wait": 28_000, "directed_yield_attempted.sum": 280}),
            ]
        ),
    )
    elapsed_s = window.elapsed_ns / 1e9
    assert window.kvm.keys() == {"exits", "wait", "directed_yield_attempted"}
    assert window.kvm["exits"] == pytest.approx(100 * elapsed_s, abs=2)
    assert window.kvm["wait"] == pytest.approx(1000 * elapsed_s, abs=2)
    assert window.kvm["directed_yield_attempted"] == pytest.approx(10 * elapsed_s, abs=2)
    assert window.kvm_preemption_reported is None


def test_kvm_counters_that_this_kvm_lacks_are_absent() -> None:
    world = World()
    lacking = kvm_readings(world, [0, 28], name="something_else")
    assert first_vcpu(world, world.recording(kvm=lacking)).kvm_preemption_reported is None


def test_doubt_sides_disagree() -> None:
    window = first_vcpu(World(guest_steal=0.5, host_delay=0.47))
    assert "guest and host disagree" in only_doubt(window) and "3.0 % apart" in only_doubt(window)
    assert first_vcpu(World(guest_steal=0.5, host_delay=0.485)).doubts == ()


def test_doubt_dropped_samples() -> None:
    window = first_vcpu(World(missing=frozenset({100, 101})))
    assert only_doubt(window) == "the probe of guest1 dropped 2 samples"
    assert first_vcpu(World(missing=frozenset({2, 290}))).doubts == ()


@pytest.mark.parametrize(
    ("interval_ms", "silent_ms", "doubted"),
    [(100, 1000, True), (100, 800, False), (10, 900, False), (10, 1000, True)],
)
def test_doubt_silence(interval_ms: int, silent_ms: int, doubted: bool) -> None:
    window = first_vcpu(World(interval_ms=interval_ms, silent_ms=(10_000, 10_000 + silent_ms)))
    expected = (
        f"the probe of guest1 took no sample for {silent_ms + interval_ms} ms (interval {interval_ms} ms)"
    )
    assert window.doubts == ((expected,) if doubted else ())


def test_doubt_coverage() -> None:
    window = first_vcpu(World(length_s=20))
    assert any("samples of guest1 span 14.9 s of 20.0 s" in doubt for doubt in window.doubts)


def test_doubt_short_window_says_what_it_may_miss() -> None:
    world = World()
    short = measure(world, world.recording(world.phase_event(length_s=2.5)))
    (doubt,) = short.phases[0].doubts
    assert "too short" in doubt and "2.0 % in 2.5 s" in doubt and "5.0 s are needed" in doubt
    assert measure(world, world.recording(world.phase_event(length_s=5))).phases[0].doubts == ()


def test_doubt_clock() -> None:
    world = World()
    start_ns = world.phase_event().data["start_ns"]
    wrong = {
        "node": world.node,
        "host_t0_ns": start_ns,
        "guest_t0_ns": 1,
        "guest_t1_ns": 2,
        "host_t1_ns": start_ns + 9,
    }
    window = first_vcpu(world, world.recording(world.phase_event(), FakeEvent(0, "knob", wrong)))
    assert any("clocks of guest1 and its host match only within" in doubt for doubt in window.doubts)


def test_guest_side_missing() -> None:
    world = World()
    window = first_vcpu(world, world.recording(guests={}))
    assert window.guest_steal_ns is None and window.disagreement_pct is None
    assert window.host_steal_pct == pytest.approx(50, abs=0.1)
    assert only_doubt(window).startswith("guest side missing")


def test_host_side_missing() -> None:
    world = World()
    window = first_vcpu(world, world.recording(host=world.host_bytes(name="stranger")))
    assert window.host_delay_ns is None
    assert window.guest_steal_pct == pytest.approx(50, abs=0.2)
    assert "host side missing: the thread of vCPU 0 of guest1 was never seen" in only_doubt(window)


def test_no_host_stream_at_all() -> None:
    world = World()
    measured = measure(world, world.recording(host=b""))
    assert measured.phases[0].doubts == ("host side missing: no samples of its probe in the window",)
    assert measured.vcpus[0].guest_steal_ns is None and len(measured.vcpus[0].doubts) == 2


def test_steal_that_runs_backwards_is_no_number_to_trust() -> None:
    world = World(guest_steal=0.0, host_delay=0.0, vcpus=1)
    data = world.guest_bytes().replace(b"0 0 0 0 0 0\n", b"0 0 0 40 0 0\n", 120)
    window = first_vcpu(world, world.recording(guests={world.node: data}))
    assert "steal of vCPU 0 of guest1 ran backwards" in window.doubts


def outer_phase(world: World) -> FakeEvent:
    event = world.phase_event()
    outer = {"outer_start_ns": event.data["start_ns"] + 77, "outer_end_ns": event.data["end_ns"] + 77}
    return replace(event, data={**event.data, **outer})


@pytest.mark.parametrize(("delay", "doubts", "work_doubts"), [(0.09, 0, 0), (0.3, 0, 2), (0.6, 2, 0)])
def test_what_the_host_vm_waits_outside(delay: float, doubts: int, work_doubts: int) -> None:
    """A wait that steal can bear may be too long for work per second; one too long for steal is told once."""
    world = World()
    outer = world.host_bytes(name="host-vm", delay=delay)
    phase = measure(world, world.recording(outer_phase(world), outer=outer)).phases[0]
    assert (len(phase.doubts), len(phase.work_doubts)) == (doubts, work_doubts)
    assert all(
        f"waited {delay:.0%} outside".replace("%", " %") in one for one in phase.doubts + phase.work_doubts
    )


@pytest.mark.parametrize(("steal", "doubts", "work_doubts"), [(0.09, 0, 0), (0.3, 0, 1), (0.6, 1, 0)])
def test_steal_of_a_host_whose_outside_is_not_seen(steal: float, doubts: int, work_doubts: int) -> None:
    world = World(host_steal=steal)
    phase = measure(world, world.recording()).phases[0]
    assert (len(phase.doubts), len(phase.work_doubts)) == (doubts, work_doubts)
    expected = f"pCPU 0 was stolen from the host itself for {100 * steal:.0f} %"
    assert all(one.startswith(expected) for one in phase.doubts + phase.work_doubts)


def test_one_loss_is_told_once() -> None:
    """A host VM whose kernel counts as steal what its CPUs wait outside."""
    world = World(host_steal=0.6)
    outer = world.host_bytes(name="host-vm", delay=0.6)
    phase = measure(world, world.recording(outer_phase(world), outer=outer)).phases[0]
    assert [doubt.split(" (")[0] for doubt in phase.doubts] == [
        f"CPU {vcpu} of the host VM waited 60 % outside" for vcpu in (0, 1)
    ]


def test_an_outer_stream_that_does_not_show_the_host_vm() -> None:
    world = World()
    found = measure(world, world.recording(outer_phase(world), outer=world.host_bytes(name="other"))).phases[
        0
    ]
    assert found.doubts == ("the host VM's own CPUs were not watched outside",)


def test_disturbances_of_the_window_count() -> None:
    world = World()
    phase = world.phase_event()
    inside = FakeEvent(phase.data["start_ns"] + S, "disturbance", {"reason": "load average 9"})
    before = FakeEvent(phase.data["start_ns"] - S, "disturbance", {"reason": "not in it"})
    assert measure(world, world.recording(before, inside, phase)).phases[0].doubts == (
        "host disturbed: load average 9",
    )


def test_a_phase_measured_again_counts_once() -> None:
    world = World()
    again = [world.phase_event(start_s=2, length_s=6), world.phase_event(start_s=9, length_s=8)]
    (phase,) = measure(world, world.recording(*again)).phases
    assert phase.end_ns - phase.start_ns == 8 * S


def test_retries_are_told() -> None:
    world = World()
    retry = FakeEvent(1, "retry", {"what": "guest1", "reason": "died in boot", "attempt": 2})
    assert measure(world, world.recording(retry)).retries == ("guest1: died in boot (attempt 2)",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"host": b"nonsense\n"}, "host/probe.stream: line 1"),
        ({"guests": {"guest1": b"pvprobe 7 guest\n"}}, "guests/guest1/probe.stream: line 1"),
        ({"guests": {"guest1": World().host_bytes()}}, "is the stream of a host, expected that of a guest"),
        ({"event_list": [FakeEvent(5, "phase", {"phase": "x"})]}, "event 'phase' at 5 lacks 'start_ns'"),
        (
            {"event_list": [FakeEvent(5, "phase", {"phase": "x", "start_ns": 5, "end_ns": 5})]},
            "ends at or before",
        ),
    ],
)
def test_what_cannot_be_read_is_said(changes: dict[str, object], message: str) -> None:
    world = World()
    with pytest.raises(RecordingError, match=message):
        measure(world, world.recording(**changes))
