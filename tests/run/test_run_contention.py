# SPDX-License-Identifier: GPL-2.0-only
"""Hogs, contention of phases and schedules over a fake host: carried out, written down, measured, judged, ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from bench import Bench
from fakeworld import Fault

from lab.errors import LabFailure
from lab.judge.evaluate import judge
from lab.judge.evidence import Evidence
from lab.judge.table import render_phase_table
from lab.judge.verdict import Outcome
from lab.measure.derive import measure_recording
from lab.measure.windows import Measurements
from lab.recording import Event, Recording
from lab.run.gc import collect_orphans
from lab.run.lab import open_lab
from lab.run.phases import PhaseRunner
from lab.run.records import LabState

LAB = """\
nodes: [{name: guest, count: 2, vcpus: 1, memory: 256MiB, pinning: ["0"]}]
load: [{name: busy, tasks: 1}]
hogs:
  - {name: noise, pcpus: "0", duty: 10%}
  - {name: all, pcpus: 0-1, weight: 200}
phases:
  - {name: alone, start: [busy], duration: 6s, settle: 200ms}
  - {name: noisy, start: [noise], duration: 6s, settle: 200ms}
  - {name: moved, duration: 6s, settle: 200ms, contention: [{nodes: guest2, pinning: "1"}, {hog: noise, duty: 40%}]}
  - name: wave
    stop: [noise]
    duration: 8s
    settle: 200ms
    schedule:
      - {square: {period: 4s, run: [all]}}
      - {at: 6s, nodes: guest2, pinning: "0"}
expect:
  - prediction: {max: 5%}
"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    made = Bench(tmp_path_factory.mktemp("contention"), text=LAB)
    made.run()
    return made


@pytest.fixture(scope="module")
def recording(bench: Bench) -> Recording:
    return Recording(bench.recording)


@pytest.fixture(scope="module")
def measured(recording: Recording) -> Measurements:
    return measure_recording(recording, recording.plan())


def of_kind(recording: Recording, *kinds: str) -> list[Event]:
    return [event for event in recording.events() if event.kind in kinds]


def test_the_prediction_holds_in_every_phase(recording: Recording, measured: Measurements) -> None:
    verdicts = judge(recording.plan(), measured).verdicts
    assert [(one.phase, one.outcome, one.reason) for one in verdicts] == [
        (phase, Outcome.PASSED, "")
        for phase in ("alone", "noisy", "moved", "wave")
        for _ in ("guest1", "guest2")
    ]


def test_what_is_predicted_and_what_is_seen_stand_side_by_side(
    recording: Recording, measured: Measurements
) -> None:
    table = render_phase_table(recording.plan(), measured)
    rows = [line.split() for line in table.splitlines() if line.startswith("  guest")]
    predicted = {(row[0], number // 2): float(row[3]) for number, row in enumerate(rows[:8])}
    assert [predicted["guest1", phase] for phase in range(4)] == [50, 55, 40, 37.5]
    assert [predicted["guest2", phase] for phase in range(4)] == [50, 55, 0, 37.5]


def test_changes_are_written_down_with_both_values(recording: Recording) -> None:
    changes = [event.data for event in of_kind(recording, "contention")]
    assert changes == [
        {"what": "pins", "node": "guest2", "vcpu": 0, "old": "0", "new": "1"},
        {"what": "duty", "hog": "noise", "old": 10, "new": 40},
        {"what": "pins", "node": "guest2", "vcpu": 0, "old": "1", "new": "0"},
    ]


def test_hogs_are_started_and_stopped_as_the_schedule_says(recording: Recording) -> None:
    told = [(event.kind, event.data["hog"]) for event in of_kind(recording, "hog-start", "hog-stop")]
    assert told == [
        ("hog-start", "noise"),
        ("hog-stop", "noise"),
        *[("hog-start", "all"), ("hog-stop", "all")] * 2,
    ]


def test_every_moment_of_a_schedule_is_told_with_how_late_it_was(recording: Recording) -> None:
    moments = [event.data for event in of_kind(recording, "schedule")]
    assert [one["changes"] for one in moments] == [
        "start all",
        "stop all",
        "start all",
        "stop all, pin guest2 vCPU 0 to pCPU 0",
    ]
    (wave,) = [event.data for event in of_kind(recording, "phase") if event.data["phase"] == "wave"]
    offsets = [one["planned_ns"] - wave["start_ns"] for one in moments]
    assert offsets == [0, 2_000_000_000, 4_000_000_000, 6_000_000_000]
    assert all(one["planned_ns"] <= one["begun_ns"] <= one["done_ns"] for one in moments)
    assert all(one["done_ns"] - one["planned_ns"] < 100_000_000 for one in moments)


def test_the_work_of_hogs_is_in_the_recording(recording: Recording) -> None:
    seen = [event.data for event in of_kind(recording, "hog-work") if event.data["hog"] == "noise"]
    assert [one["edge"] for one in seen] == ["start", "end"] * 2
    noisy = seen[1]["run_ns"] - seen[0]["run_ns"]
    moved = seen[3]["run_ns"] - seen[2]["run_ns"]
    assert noisy == pytest.approx(0.1 * 6e9, rel=0.05) and moved == pytest.approx(0.4 * 6e9, rel=0.05)


def test_what_hogs_ran_and_how_schedules_were_kept_is_told(
    recording: Recording, measured: Measurements
) -> None:
    ran = {(one.hog, one.phase, one.pcpu): round(one.run_pct) for one in measured.hogs}
    assert ran == {
        ("noise", "noisy", 0): 10,
        ("noise", "moved", 0): 40,
        ("all", "wave", 0): 25,
        ("all", "wave", 1): 25,
    }
    (kept,) = measured.schedules
    assert (kept.phase, len(kept.moments)) == ("wave", 4)
    assert 0 <= kept.latest_begun_ns <= kept.latest_done_ns < 100_000_000
    table = render_phase_table(recording.plan(), measured)
    assert "  hog noise ran 10.0 % of pCPU 0\n" in table
    assert "  schedule: 4 moments, at most " in table


def test_nothing_of_it_counts_as_foreign(measured: Measurements) -> None:
    assert [window.doubts for window in measured.phases] == [()] * 4


def test_nothing_is_left(bench: Bench) -> None:
    assert bench.leftovers() == [] and bench.world.hogs == {} and bench.world.tasks == []
    assert bench.foreign_is_there()


# ---- late, restarted, failed, killed


def test_a_late_change_is_a_doubt(recording: Recording) -> None:
    class Late:
        """The recording, with one change done more than a second after its time."""

        def __getattr__(self, name: str) -> object:
            return getattr(recording, name)

        def events(self) -> Sequence[Event]:
            return [
                replace(event, data={**event.data, "done_ns": event.data["planned_ns"] + 1_300_000_000})
                if event.kind == "schedule" and event.data["changes"] == "stop all"
                else event
                for event in recording.events()
            ]

    measured = measure_recording(Late(), recording.plan())
    assert measured.phases[-1].doubts == ("the change planned at 2.0 s (stop all) was done 1.3 s late",)
    # Half of the pCPU for 0.65 s more of 8 s.
    predicted = Evidence(recording.plan(), measured).predicted_steal("wave")
    assert predicted["guest1", 0] == pytest.approx(37.5 + 50 * 0.65 / 8, abs=0.01)


def test_a_change_that_was_never_made_is_a_doubt(recording: Recording) -> None:
    plan = recording.plan()
    more = replace(plan.phases[-1].changes[-1], at_ns=7_000_000_000)
    changed = replace(plan.phases[-1], changes=(*plan.phases[-1].changes, more))
    wave = measure_recording(recording, replace(plan, phases=(*plan.phases[:-1], changed))).phases[-1]
    assert wave.doubts == ("1 of 5 moments of the schedule did not come",)


def test_a_guest_that_is_started_anew_is_pinned_as_it_was(tmp_path: Path) -> None:
    text = """\
nodes: [{name: guest, vcpus: 2, memory: 256MiB, pinning: ["0", "0"]}]
phases:
  - {name: moved, duration: 200ms, settle: 0s, contention: [{vcpus: "1", pinning: "1"}]}
  - {name: anew, duration: 200ms, settle: 0s, set: [{knob: nohz_full, value: "1"}]}
"""
    bench = Bench(tmp_path, text=text)
    with open_lab(bench.host, bench.plan(), bench.around, journal()) as lab:
        runner = PhaseRunner(lab, bench.narrator, lambda stats: None)
        runner.run_all()
        assert lab.files["guest"].boot == 1
        assert lab.host.hypervisor.vcpu_pins(lab.plan.nodes[0].domain) == {0: (0,), 1: (1,)}


def journal() -> object:
    from lab.run.events import Journal

    return Journal()


HOGGED = """\
nodes: [{name: guest, vcpus: 1, memory: 256MiB, pinning: ["0"]}]
hogs: [{name: noise, pcpus: 0-1}]
phases: [{name: noisy, start: [noise], duration: 500ms, settle: 0s}]
"""


@pytest.mark.parametrize("error", [LabFailure("planted"), KeyboardInterrupt()], ids=["failure", "interrupt"])
@pytest.mark.parametrize("after", [False, True])
def test_hogs_end_with_a_run_that_fails_at_any_call(
    tmp_path: Path, error: BaseException, after: bool
) -> None:
    (tmp_path / "trial").mkdir()
    trial = Bench(tmp_path / "trial", text=HOGGED)
    trial.run()
    calls = [number for number, name in enumerate(trial.world.calls) if name.endswith("pvspin")]
    assert len(calls) >= 4
    for index in calls[:-1]:  # the last one is the end of the lab itself
        (tmp_path / f"{index}").mkdir()
        bench = Bench(tmp_path / f"{index}", text=HOGGED)
        bench.world.fault = Fault(index, error, after)
        with pytest.raises(type(error)):
            bench.run()
        assert bench.leftovers() == [] and bench.world.hogs == {}


def test_gc_ends_the_hogs_of_a_lab_that_was_killed(tmp_path: Path) -> None:
    bench = Bench(tmp_path, text=HOGGED)
    plan = bench.plan()
    record = bench.records.create(plan, f"/store/labs/{plan.lab_id}")
    assert record.hogs == ("noise",)
    bench.world.start_hog(f"{record.remote_dir}/hogs", "noise", (0, 1), 100)
    bench.world.start_hog("/store/labs/other/hogs", "noise", (0,), 100)
    assert bench.leftovers()
    dead = replace(record, owner_start=record.owner_start - 1)
    bench.records.update(dead, LabState.RUNNING)
    assert collect_orphans(bench.records, bench.reopen, bench.narrator) == (
        replace(dead, state=LabState.RUNNING),
    )
    assert bench.leftovers() == []
    assert list(bench.world.hogs) == [("/store/labs/other/hogs", "noise")]
