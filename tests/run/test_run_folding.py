# SPDX-License-Identifier: GPL-2.0-only
"""Folds in phases over a fake host: what is written down, measured, judged, and skipped where a kernel lacks it."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench import Bench

from lab.judge.evaluate import judge
from lab.judge.evidence import Evidence
from lab.judge.folds import Fold, find_folds
from lab.judge.foldtable import render_fold_table
from lab.judge.verdict import Outcome
from lab.measure.derive import measure_recording
from lab.measure.windows import Measurements
from lab.recording import Recording

LAB = """\
nodes:
  - {name: guest1, vcpus: 2, memory: 256MiB, pinning: ["0", "1"]}
  - {name: guest2, vcpus: 2, memory: 256MiB, pinning: ["1", "0"]}
load: [{name: busy, tasks: 2, vcpus: 0-1}]
phases:
  - {name: contended, start: [busy], duration: 6s, settle: 200ms}
  - {name: mask, duration: 6s, settle: 200ms, fold: [{vcpus: "1", by: mask}]}
  - {name: unmasked, duration: 6s, settle: 200ms, fold: [{vcpus: "", by: mask}]}
  - {name: quota, duration: 6s, settle: 200ms, fold: [{vcpus: "1", by: quota, optional: true}]}
expect:
  - fold_effect: {phase: mask, max: 1s}
  - affinity: {load: busy, phase: mask}
  - fold_effect: {phase: quota, max: 1s}
  - steal: {phase: quota, max: 5%}
"""


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    bench = Bench(tmp_path_factory.mktemp("folding"), text=LAB)
    bench.run()
    return Recording(bench.recording)


@pytest.fixture(scope="module")
def measured(recording: Recording) -> Measurements:
    return measure_recording(recording, recording.plan())


def only_fold(recording: Recording, measured: Measurements) -> Fold:
    (fold,) = find_folds(Evidence(recording.plan(), measured))
    return fold


def test_every_write_of_a_fold_says_so(recording: Recording) -> None:
    events = [event.data for event in recording.events() if event.kind == "knob"]
    assert [(one["fold"], one["fold_node"], one["fold_vcpus"]) for one in events] == [
        ("mask", "guest1", "1"),
        ("mask", "guest2", "1"),
        ("mask", "guest1", ""),
        ("mask", "guest2", ""),
    ]


def test_the_effect_is_seen_on_the_host(recording: Recording, measured: Measurements) -> None:
    fold = only_fold(recording, measured)
    assert (fold.phase, fold.baseline, fold.nodes) == ("mask", "contended", ("guest1", "guest2"))
    assert [one.unfolded for one in fold.foldings] == ["unmasked", "unmasked"]
    assert fold.effect_ns is not None
    assert fold.effect_ns <= 500_000_000


def test_a_mechanism_that_the_kernel_lacks_is_skipped(recording: Recording, measured: Measurements) -> None:
    phases = {window.phase: window.skipped for window in measured.phases}
    assert [bool(phases[name]) for name in ("contended", "mask", "unmasked", "quota")] == [False] * 3 + [True]


def test_verdicts(recording: Recording, measured: Measurements) -> None:
    verdicts = judge(recording.plan(), measured).verdicts
    by_phase = {phase: {one.outcome for one in verdicts if one.phase == phase} for phase in ("mask", "quota")}
    assert by_phase == {"mask": {Outcome.PASSED}, "quota": {Outcome.SKIPPED}}


def test_the_table(recording: Recording, measured: Measurements) -> None:
    rows = render_fold_table(Evidence(recording.plan(), measured)).splitlines()
    assert rows[3].split()[:2] == ["mask", "mask"]
    assert rows[3].split()[-3:] == ["yes", "yes", "all"]


def test_a_run_with_folds_leaves_nothing_behind(tmp_path: Path) -> None:
    bench = Bench(tmp_path, text=LAB)
    bench.run()
    assert bench.leftovers() == []
