# SPDX-License-Identifier: GPL-2.0-only
"""What was exported, loaded with Perfetto's own trace processor (see processing.py) and asked in SQL."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from exporting import END, T0, FakeEvent, later, measurements, perfetto, traced_window
from processing import ask

from lab.export.perfetto import Exported, write_perfetto
from lab.measure.course import VcpuCourse, measure_courses, step_edges
from lab.measure.derive import measure_recording, node_views
from lab.measure.windows import (
    ClockMatch,
    FileChange,
    Folding,
    GovernDecision,
    LoadResult,
    PhaseProof,
    PhaseWindow,
)
from lab.recording import Recording

DATA = Path(__file__).parents[2] / "data"
#: A track's names from the root down.
PATHS = """
WITH RECURSIVE path(id, name) AS (
  SELECT id, name FROM track WHERE parent_id IS NULL
  UNION ALL SELECT track.id, path.name || ' / ' || track.name FROM track JOIN path ON track.parent_id = path.id)
"""
SLICES = f"""{PATHS}
SELECT path.name AS path, slice.ts - {T0}, slice.dur, slice.name AS slice, slice.depth
FROM slice JOIN path ON slice.track_id = path.id ORDER BY 1, slice.ts"""
COUNTS = f"""{PATHS}
SELECT path.name, counter.ts - {T0}, counter.value FROM counter JOIN path ON counter.track_id = path.id
ORDER BY path.name, counter.ts"""
PROBLEMS = "SELECT name, value FROM stats WHERE severity IN ('error', 'data_loss') AND value > 0"
US = 1000


def test_it_loads_without_a_complaint_and_has_every_slice_of_every_track() -> None:
    problems, slices = ask(perfetto(windows=[traced_window()]), PROBLEMS, SLICES)
    assert problems == []
    assert {row[4] for row in slices} == {0}, "nothing lies within another"
    found: dict[str, list[tuple[int, int, str]]] = {}
    for path, start_ns, length_ns, name, _ in slices:
        found.setdefault(path, []).append((start_ns // US, length_ns // US, name))
    assert found == {
        "pCPUs / pCPU 0": [
            (0, 100, "one vcpu 0"),
            (100, 200, "hog noisy"),
            (300, 300, "one vcpu 0"),
            (800, 200, "one vcpu 0"),
        ],
        "pCPUs / pCPU 1": [
            (0, 200, "idle and others"),
            (200, 200, "one vcpu 1"),
            (400, 100, "foreign bash"),
            (500, 400, "one vcpu 1"),
            (900, 100, "idle and others"),
        ],
        "node one / vCPU 0": [
            (0, 100, "running"),
            (100, 200, "preempted by hog noisy"),
            (300, 300, "running"),
            (600, 150, "halted"),
            (750, 50, "waking"),
            (800, 200, "running"),
        ],
        "node one / vCPU 1": [
            (0, 150, "halted"),
            (150, 50, "waking"),
            (200, 200, "running"),
            (400, 100, "preempted by foreign bash"),
            (500, 400, "running"),
            (900, 100, "halted"),
        ],
        "node one / vCPU 0 / tasks": [(0, 50, "idler"), (50, 300, "worker"), (820, 180, "idler")],
        "node one / vCPU 0 / marks": [(60, 0, "worker: hello")],
        "node one / locks / lock big": [(90, 250, "held by worker")],
    }


def test_slices_of_a_vcpu_tell_its_pcpu() -> None:
    (rows,) = ask(
        perfetto(windows=[traced_window()]),
        "SELECT DISTINCT slice.name, EXTRACT_ARG(slice.arg_set_id, 'debug.pcpu') FROM slice JOIN track "
        "ON slice.track_id = track.id WHERE track.name = 'vCPU 1' ORDER BY 1, 2",
    )
    assert rows == [
        ("halted", "1"),
        ("halted", "unknown"),
        ("preempted by foreign bash", "1"),
        ("running", "1"),
        ("waking", "unknown"),
    ]


def test_times_are_those_of_the_host_to_the_nanosecond() -> None:
    bounds, first = ask(
        perfetto(windows=[traced_window()]),
        "SELECT start_ts, end_ts FROM trace_bounds",
        "SELECT MIN(ts), MAX(ts + dur) FROM slice",
    )
    assert first == [(T0, END)]
    assert bounds[0][1] >= END


def test_several_windows_go_on_in_the_same_tracks() -> None:
    one = perfetto(windows=[traced_window()])
    two = perfetto(windows=[traced_window(), later(traced_window(), 5_000_000)])
    count = "SELECT (SELECT COUNT(*) FROM slice), (SELECT COUNT(*) FROM track)"
    ((once,),), ((twice,),) = ask(one, count), ask(two, count)
    assert twice == (2 * once[0], once[1])


def test_what_speaks_against_a_trace_is_told_in_it() -> None:
    doubtful = replace(traced_window(), doubts=("the host lost 3 events",))
    (rows,) = ask(
        perfetto(windows=[doubtful]), f"SELECT ts - {T0}, name FROM slice WHERE name LIKE 'trace of%'"
    )
    assert rows == [(0, "trace of p: the host lost 3 events")]


def test_an_untraced_recording_has_its_steal_and_what_was_done() -> None:
    courses = [VcpuCourse("one", 0, (T0, T0 + 10, T0 + 20, T0 + 30), (50.0, None, 25.5), (49.0, 12.5, None))]
    measured = measurements(
        phases=(PhaseWindow("p", T0 + 10, T0 + 30, doubts=("too short",)),),
        proofs=(PhaseProof("p", ((3, 0.25),), (), ()),),
        clocks=(ClockMatch("one", T0, 1),),
        load_results=(LoadResult("one", "bench", "p", T0 + 12, T0 + 28, 0, (("rate", 17.0),)),),
        decisions=(_decision(T0 + 15),),
        foldings=(
            Folding("one", (3,), "mask", "p", None, None, T0 + 4, 26, 20, 1),
            Folding("one", (3,), "hotplug", "p", None, None, T0 + 8, 22, 20, 1),
        ),
        file_changes=(FileChange("one", "avoid_cpus", "/sys/x", T0 + 4, T0 + 6, "", "3"),),
    )
    phase = {"phase": "p", "begin_ns": T0, "start_ns": T0 + 10, "end_ns": T0 + 30}
    knob = {"node": "one", "knob": "avoid_cpus", "old": "", "new": "3"}
    clocks = {"host_t0_ns": T0 + 1, "host_t1_ns": T0 + 9, "guest_t0_ns": 3, "guest_t1_ns": 4}
    events = [
        FakeEvent(T0 + 9, "knob", {**knob, **clocks}),
        FakeEvent(T0 + 9, "knob", {**knob, "node": "@host", "guest": "one"}),
        FakeEvent(T0 + 5, "load-start", {"load": "busy", "node": "one"}),
        FakeEvent(T0 + 22, "disturbance", {"reason": "a neighbour"}),
        FakeEvent(T0 + 30, "phase", phase),
    ]
    problems, slices, counts, doubts = ask(
        perfetto(events, measured, courses=courses),
        PROBLEMS,
        SLICES,
        COUNTS,
        "SELECT EXTRACT_ARG(arg_set_id, 'debug.doubt 1') FROM slice WHERE name = 'p'",
    )
    assert problems == []
    assert [row[:4] for row in slices] == [
        ("lab demo / events", 22, 0, "disturbance a neighbour"),
        ("lab demo / host knobs", 9, 0, "avoid_cpus of one: (none) -> 3"),
        ("lab demo / phases", 0, 10, "before p"),
        ("lab demo / phases", 10, 20, "p"),
        ("node one / folds by hotplug", 8, 20, "fold 3 until quiet"),
        ("node one / folds by mask", 4, 20, "fold 3 until quiet"),
        ("node one / governor", 15, 0, "shrink (steal): 2-3 folded"),
        ("node one / knobs", 4, 0, "avoid_cpus: (none) -> 3"),
        ("node one / loads", 5, 0, "start busy"),
        ("node one / runs of bench", 12, 16, "bench"),
        ("node one / watched files", 6, 0, "avoid_cpus: (none) -> 3"),
    ]
    assert counts == [
        ("node one / vCPU 0 / steal, by the guest", 0, 50.0),
        ("node one / vCPU 0 / steal, by the guest", 20, 25.5),
        ("node one / vCPU 0 / steal, by the guest", 30, 25.5),
        ("node one / vCPU 0 / steal, by the host", 0, 49.0),
        ("node one / vCPU 0 / steal, by the host", 10, 12.5),
        ("node one / vCPU 0 / steal, by the host", 20, 12.5),
        ("pCPUs / pCPU 3 / foreign", 10, 0.25),
        ("pCPUs / pCPU 3 / foreign", 30, 0.25),
    ]
    assert doubts == [("too short",)]


def _decision(t_ns: int) -> GovernDecision:
    return GovernDecision("one", "p", "steal", "shrink", t_ns, 5, (), (2, 3), False, 4.0, 1.5, 6.0, 6.1, 6.2)


def test_steal_of_a_real_recording_is_on_average_what_was_measured(tmp_path: Path) -> None:
    with tarfile.open(DATA / "recordings/quickstart.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    recording = Recording(tmp_path / "quickstart")
    plan = recording.plan()
    measured = measure_recording(recording, plan)
    (phase,) = (one for one in measured.phases if one.phase == "contended")
    edges = step_edges(phase.start_ns, phase.end_ns, 2000, 100_000_000)
    courses = measure_courses(node_views(recording, plan).values(), edges)
    sink = io.BytesIO()
    write_perfetto(Exported(plan.name, recording.events(), measured, courses), sink)
    problems, means = ask(
        sink.getvalue(),
        PROBLEMS,
        f"{PATHS} SELECT path.name, AVG(value) FROM counter JOIN path ON counter.track_id = path.id "
        "WHERE path.name LIKE '%steal, by the%' GROUP BY 1",
    )
    assert problems == []
    windows = [one for one in measured.vcpus if one.phase == "contended"]
    sides = {"guest": "guest_steal_pct", "host": "host_steal_pct"}
    expected = {
        f"node {one.node} / vCPU {one.vcpu} / steal, by the {side}": getattr(one, name)
        for one in windows
        for side, name in sides.items()
    }
    assert len(expected) == 8
    assert dict(means) == pytest.approx(expected, abs=1.0)
