# SPDX-License-Identifier: GPL-2.0-only
"""Loads with a command, over a fake host: begun together, windows that end with them, output brought home."""

from __future__ import annotations

from pathlib import Path

import pytest
from run.bench import Bench

from lab.errors import InputError, LabFailure, UndecidedError
from lab.judge.evidence import Evidence
from lab.judge.metrics import collect_metrics
from lab.measure.derive import measure_recording
from lab.measure.windows import LoadResult, Measurements
from lab.recording import Recording
from lab.run.events import Journal
from lab.run.guestctl import start_by_hand, stop_by_hand
from lab.run.interactive import open_session
from lab.run.lab import open_lab

HEAD = """\
nodes: [{name: guest, count: 2, vcpus: 2, memory: 256MiB, pinning: spread}]
load_definitions:
  fake:
    doc: Runs for a while.
    ends: itself
    command: fake {{ seconds }} {{ status }}
    parameters: {seconds: {type: number, default: 3}, status: {default: 0}}
    metrics: {took: {unit: s, better: lower, over_guests: mean, pattern: '^took (.*)$'}}
  endless:
    {doc: Runs until it is stopped., ends: stopped, command: fake 1000000}
  missing:
    {doc: Is nowhere., ends: itself, command: nowhere 1}
"""
UNTIL = """\
load: [{name: work, kind: fake}, {name: busy, tasks: 2}]
phases:
  - {name: first, start: [busy, work], until: [work], settle: 1s, duration: 60s}
  - {name: again, start: [work], until: [work], settle: 200ms, duration: 60s}
"""


def run(directory: Path, text: str) -> tuple[Bench, Measurements]:
    bench = Bench(directory, text=HEAD + text)
    bench.run()
    recording = Recording(bench.recording)
    return bench, measure_recording(recording, recording.plan())


def by_phase(measured: Measurements) -> dict[str, list[LoadResult]]:
    found: dict[str, list[LoadResult]] = {}
    for one in measured.load_results:
        found.setdefault(one.phase, []).append(one)
    return found


def test_a_window_ends_when_the_loads_end_that_began_with_it(tmp_path: Path) -> None:
    measured = run(tmp_path, UNTIL)[1]
    for phase in measured.phases:
        assert 2.9e9 < phase.end_ns - phase.start_ns < 4e9
    assert all(not one.doubts and one.values == (("took", 3.0),) for one in measured.load_results)
    assert {phase: [one.node for one in found] for phase, found in by_phase(measured).items()} == {
        "first": ["guest1", "guest2"],
        "again": ["guest1", "guest2"],
    }


def test_all_guests_begin_at_one_moment_of_the_hosts_clock(tmp_path: Path) -> None:
    bench, measured = run(tmp_path, UNTIL)
    for found in by_phase(measured).values():
        begins = [one.begin_ns for one in found]
        # A sample is taken once in 100 ms and brought at once: the clocks are known to a millisecond.
        assert max(begins) - min(begins) < 5_000_000
    starts = [one for one in Recording(bench.recording).events() if one.kind == "load-start"]
    asked = [one.t_ns for one in starts if one.data["load"] == "work"]
    assert [one.data["number"] for one in starts if one.data["load"] == "work"] == [0, 0, 1, 1]
    assert asked[0] == asked[1] and asked[2] == asked[3]
    assert abs(asked[0] - measured.load_results[0].begin_ns) < 5_000_000


def test_two_loads_of_a_guest_begin_together(tmp_path: Path) -> None:
    text = (
        "load: [{name: one, kind: fake}, {name: two, kind: fake}]\n"
        "phases: [{name: both, start: [one, two], until: [one, two], settle: 200ms, duration: 60s}]\n"
    )
    found = run(tmp_path, text)[1].load_results
    begins = [one.begin_ns for one in found]
    assert len(found) == 4 and max(begins) - min(begins) < 5_000_000


def test_other_loads_start_before_the_phase_settles(tmp_path: Path) -> None:
    events = Recording(run(tmp_path, UNTIL)[0].recording).events()
    first = next(one for one in events if one.kind == "phase")
    busy = next(one for one in events if one.kind == "load-start" and one.data["load"] == "busy")
    work = next(one for one in events if one.kind == "load-start" and one.data["load"] == "work")
    assert first.data["start_ns"] - busy.t_ns >= 1e9
    assert abs(work.t_ns - first.data["start_ns"]) < 0.3e9


def test_what_has_not_ended_by_the_deadline_is_stopped_and_doubted(tmp_path: Path) -> None:
    text = (
        "load: [{name: work, kind: fake, parameters: {seconds: 500}}]\n"
        "phases: [{name: short, start: [work], until: [work], settle: 200ms, duration: 5s}]\n"
    )
    measured = run(tmp_path, text)[1]
    (window,) = measured.phases
    assert 4.9e9 < window.end_ns - window.start_ns < 6e9
    assert len(measured.load_results) == 2
    for one in measured.load_results:
        assert one.status == 143 and one.values == ()
        assert any("did not finish: it was stopped after 5." in doubt for doubt in one.doubts)


def test_a_bad_status_is_doubted(tmp_path: Path) -> None:
    text = (
        "load: [{name: work, kind: fake, nodes: guest1, parameters: {seconds: 6, status: 2}}]\n"
        "phases: [{name: short, start: [work], until: [work], settle: 200ms, duration: 9s}]\n"
    )
    (result,) = run(tmp_path, text)[1].load_results
    assert (result.node, result.status, result.doubts) == ("guest1", 2, ("it ended with status 2",))


def test_a_load_that_ran_in_the_background_is_stopped_and_brought_home(tmp_path: Path) -> None:
    text = (
        "load: [{name: drone, kind: endless}]\n"
        "phases:\n  - {name: one, start: [drone], settle: 200ms, duration: 6s}\n"
        "  - {name: two, stop: [drone], settle: 200ms, duration: 6s}\n"
    )
    measured = run(tmp_path, text)[1]
    assert [(one.node, one.phase, one.status, one.doubts) for one in measured.load_results] == [
        ("guest1", "one", 143, ()),
        ("guest2", "one", 143, ()),
    ]


def test_one_that_ran_through_phases_is_no_figure_of_either(tmp_path: Path) -> None:
    text = (
        "load: [{name: drone, kind: endless}]\n"
        "phases:\n  - {name: one, start: [drone], settle: 200ms, duration: 6s}\n"
        "  - {name: two, settle: 200ms, duration: 7s}\n"
    )
    for one in run(tmp_path, text)[1].load_results:
        assert one.phase == "two"
        assert one.doubts == ("it ran through one, two: its figures are of all of them",)


def test_a_guest_without_the_program_is_told_with_its_image(tmp_path: Path) -> None:
    text = "load: [{name: work, kind: missing}]\nphases: [{name: one, start: [work], duration: 6s}]\n"
    with pytest.raises(
        LabFailure, match=r"no program 'nowhere' in the root image guest \(kind missing\)"
    ) as caught:
        run(tmp_path, text)
    assert caught.value.hint is not None and "lab load explain missing" in caught.value.hint


def test_output_is_brought_home_when_the_run_fails(tmp_path: Path) -> None:
    """The second phase needs what is not there; by then the load of the first runs."""
    text = (
        "load: [{name: drone, kind: endless}, {name: work, kind: missing}]\n"
        "phases:\n  - {name: one, start: [drone], settle: 200ms, duration: 6s}\n"
        "  - {name: two, start: [work], until: [work], settle: 200ms, duration: 7s}\n"
    )
    with pytest.raises(LabFailure, match="nowhere"):
        run(tmp_path, text)
    recording = Recording(tmp_path / "recording")
    assert [one.load for node in ("guest1", "guest2") for one in recording.load_outputs(node)] == [
        "drone"
    ] * 2


def test_a_guest_that_dies_ends_the_waiting_at_once(tmp_path: Path) -> None:
    text = (
        "load: [{name: work, kind: fake, parameters: {seconds: 50}}]\n"
        "phases: [{name: long, start: [work], until: [work], settle: 200ms, duration: 90s}]\n"
    )
    bench = Bench(tmp_path, text=HEAD + text)
    world = bench.world
    world.at(20_000_000_000, lambda: [world.kill_guest(one) for one in list(world.guests.values())])
    bench.run()
    (retry,) = [one for one in Recording(bench.recording).events() if one.kind == "retry"]
    assert retry.data["what"] == "run" and "died (its emulator ended)" in retry.data["reason"]
    lost = Recording(bench.recording / "lost/1").events()
    assert [one.kind for one in lost][-2:] == ["load-start", "lost"]


def test_a_lab_driven_by_hand_measures_until_loads_end(tmp_path: Path) -> None:
    bench = Bench(tmp_path, text=HEAD + "load: [{name: work, kind: fake, parameters: {seconds: 6}}]\n")
    with (
        open_lab(bench.host, bench.plan(), bench.around, Journal()) as lab,
        open_session(lab, bench.topology.text, bench.recording, bench.narrator) as session,
    ):
        phase = session.measure("first", seconds=60, settle=0.5, until=["work"])
        assert phase.reported("work", "took") == 6.0
        assert session.running_loads() == set()
        with pytest.raises(InputError, match="no load 'wrok'"):
            session.measure("second", seconds=60, until=["wrok"])
        with pytest.raises(UndecidedError, match="work reported no time"):
            phase.reported("work", "time")


def test_arms_compare_what_loads_report(tmp_path: Path) -> None:
    text = (
        "load: [{name: work, kind: fake, parameters: {seconds: 6}}]\n"
        "phases: [{name: all, start: [work], until: [work], settle: 200ms, duration: 60s}]\n"
        "arms: [{name: base}, {name: other, set: [{nodes: guest1, knob: avoid_cpus, value: '1'}]}]\n"
        "repeats: {count: 2, warmup: 0, baseline: base}\n"
    )
    bench, measured = run(tmp_path, text)
    plan = Recording(bench.recording).plan()
    values = [one for one in collect_metrics(Evidence(plan, measured)) if one.metric == "work.took"]
    assert [(one.phase, one.value, one.unit, one.doubts) for one in values] == [
        (phase.name, 6.0, "s", ()) for phase in plan.phases
    ]
    assert len(values) == 4
    assert [one.number for one in Recording(bench.recording).load_outputs("guest1")] == [0, 1, 2, 3]


def test_by_hand_a_load_starts_where_it_does_not_run_and_tells_what_it_wrote(tmp_path: Path) -> None:
    bench = Bench(tmp_path, text=HEAD + "load: [{name: work, kind: fake, parameters: {seconds: 6}}]\n")
    with open_lab(bench.host, bench.plan(), bench.around, Journal()) as lab:
        shell, load = lab.shells["guest1"], lab.plan.loads[0]
        start_by_hand(shell, load)
        with pytest.raises(InputError, match="load work runs already on guest1"):
            start_by_hand(shell, load)
        lab.watch.sleep(7)
        assert stop_by_hand(shell, load) == "took 6\n"
