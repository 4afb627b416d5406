# SPDX-License-Identifier: GPL-2.0-only
"""A guest that was started anew: windows before and after are both measured, each against its own start."""

from __future__ import annotations

import re

import pytest
from measuring import FakeEvent, FakeKvm, FakeRecording, S, World, plan_for

from lab.measure.boots import boot_at, restart_times, split_boots
from lab.measure.derive import measure_recording
from lab.measure.probestream import ProbeStream, parse_stream
from lab.measure.windows import Measurements

#: The first start is over at about 39 s of the host's clock; the same threads' ids are used again by the second.
FIRST = World(guest_steal=0.5, host_delay=0.5, work_per_s=1000)
SECOND = World(guest_steal=0.1, host_delay=0.1, work_per_s=2000, offset_ns=40 * S)
RESTART = FakeEvent(round(39.5 * S), "restart", {"node": "guest1", "boot": 1, "cmdline": "nohz=off"})
BEFORE, AFTER = FIRST.phase_event("before"), SECOND.phase_event("after")


def host_of_both() -> bytes:
    """One host's stream over both starts: its samples are numbered through."""
    first, second = FIRST.host_bytes().decode(), SECOND.host_bytes().decode()
    taken = first.count("\nb ")
    renumbered = re.sub(r"^([be]) (\d+)", lambda m: f"{m[1]} {int(m[2]) + taken}", second, flags=re.MULTILINE)
    return (first + renumbered.partition("\n")[2]).encode()


def recording(**changes: object) -> FakeRecording:
    content: dict[str, object] = {
        "event_list": (BEFORE, RESTART, AFTER),
        "guests": {"guest1": SECOND.guest_bytes()},
        "earlier": {"guest1": [FIRST.guest_bytes()]},
        "host": host_of_both(),
        "kvm": [kvm(BEFORE, 100), kvm(BEFORE, 300, end=True), kvm(AFTER, 400), kvm(AFTER, 450, end=True)],
    }
    return FakeRecording(**{**content, **changes})  # type: ignore[arg-type]


def kvm(phase: FakeEvent, count: int, end: bool = False) -> FakeKvm:
    t_ns = phase.data["end_ns" if end else "start_ns"]
    return FakeKvm(t_ns, t_ns, "guest1", 0, {"preemption_reported": count, "preemption_other": 0})


def measured(**changes: object) -> Measurements:
    return measure_recording(recording(**changes), plan_for(FIRST))


def test_windows_before_and_after_a_restart_are_both_measured() -> None:
    found = {(one.phase, one.vcpu): one for one in measured().vcpus}
    assert all(window.doubts == () for window in found.values())
    for (phase, _), window in found.items():
        share_pct = 50 if phase == "before" else 10
        assert window.guest_steal_pct == pytest.approx(share_pct, abs=0.2)
        assert window.host_steal_pct == pytest.approx(share_pct, abs=0.1)
    assert found["before", 0].kvm_preemption_reported == pytest.approx(200, rel=0.05)
    assert found["after", 0].kvm_preemption_reported == pytest.approx(50, rel=0.05)


def test_work_is_counted_in_each_start_and_affinity_over_all() -> None:
    found = measured()
    rates = {(task.phase, task.task): task.work * S / task.elapsed_ns for task in found.tasks}
    assert rates["before", 0] == pytest.approx(1000, rel=0.01)
    assert rates["after", 0] == pytest.approx(2000, rel=0.01)
    assert [(one.task, one.affinities) for one in found.affinities] == [(0, ("0-1",)), (1, ("0-1",))]


def test_the_clock_that_is_told_is_the_one_of_the_last_start() -> None:
    (clock,) = measured().clocks
    assert clock.offset_ns == pytest.approx(SECOND.offset_ns, abs=0.1 * S)


def test_a_stream_of_an_earlier_start_that_is_missing_leaves_that_window_out_only() -> None:
    found = measured(earlier={"guest1": [b""]}).vcpus
    assert [one.guest_steal_ns is None for one in found] == [True, True, False, False]
    assert "was not heard" in found[0].doubts[0]


def test_exchanges_bound_only_the_clock_of_their_own_start() -> None:
    """Read against the second start's clock, a knob written in the first would contradict it by 35 s."""
    t_ns = BEFORE.data["start_ns"] - S
    times = {"host_t0_ns": t_ns, "host_t1_ns": t_ns + 4000}
    guest = {"guest_t0_ns": t_ns - FIRST.offset_ns + 1000, "guest_t1_ns": t_ns - FIRST.offset_ns + 2000}
    knob = FakeEvent(t_ns, "knob", {"node": "guest1", **times, **guest})
    found = measured(event_list=(knob, BEFORE, RESTART, AFTER))
    assert all(one.doubts == () for one in found.vcpus)
    assert found.clocks[0].error_ns < S


def test_starts_by_time() -> None:
    stream, host = parse_stream(FIRST.guest_bytes()), parse_stream(host_of_both())
    boots = split_boots([stream], host, restart_times([BEFORE, RESTART, AFTER], "guest1"))
    assert [boot.guest is stream for boot in boots] == [True, False]
    assert boots[1].guest == ProbeStream(None)
    assert boot_at(boots, RESTART.t_ns - 1) is boots[0]
    assert boot_at(boots, RESTART.t_ns) is boots[1]
    assert restart_times([RESTART], "guest2") == ()
    (only,) = split_boots([stream], host, ())
    assert only.host is host
