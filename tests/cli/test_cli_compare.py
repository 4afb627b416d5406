# SPDX-License-Identifier: GPL-2.0-only
"""`lab compare` on recordings whose truth is known."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from cli.driving import Driver
from cli.recordings import TOPOLOGY, plan_of, write_recording

from lab.cli import metricfile
from lab.errors import ExitCode
from lab.judge.metrics import MetricValue
from lab.judge.recorded import Recorded, RecordedWindow
from lab.plan.labplan import ComparisonPlan

#: A little noise around 1000 and 900 work/s for each task.
BEFORE, SAME, SLOWER = (1000, 1010, 995), (1003, 992, 1008), (900, 905, 896)
NOISY = (1000, 1200, 850)

Side = Callable[[str, Sequence[float]], Path]


@pytest.fixture
def measured(tmp_path: Path) -> Side:
    """Makes a directory with one recording for each speed."""

    def make(name: str, speeds: Sequence[float]) -> Path:
        for number, speed in enumerate(speeds, 1):
            write_recording(tmp_path / name / f"run{number}", work_per_s=speed)
        return tmp_path / name

    return make


@pytest.fixture
def side(tmp_path: Path) -> Side:
    """The same with nothing but what is kept of them, which is faster."""

    def make(name: str, speeds: Sequence[float]) -> Path:
        for number, speed in enumerate(speeds, 1):
            values = (
                MetricValue("contended", "busy.throughput", "work/s", "higher", 2 * speed),
                MetricValue("contended", "busy.fairness", "", "higher", 1.0),
                MetricValue("contended", "steal", "%", "lower", 50.0),
            )
            keep(tmp_path / name / f"run{number}", (RecordedWindow("contended", None, 0, values),))
        return tmp_path / name

    return make


def keep(
    directory: Path, windows: tuple[RecordedWindow, ...], comparison: ComparisonPlan | None = None
) -> Path:
    """A recording of which only what is compared was left."""
    directory.mkdir(parents=True)
    (directory / "recording.json").write_text("{}")
    recorded = Recorded("pair", "id", "2 VMs x 1 vCPU / 1 pCPU", "local", comparison, windows)
    metricfile.write_kept(directory, recorded)
    return directory


def test_what_is_as_fast_is_the_same(lab: Driver, side: Side) -> None:
    done = lab("compare", side("before", BEFORE), side("after", SAME))
    assert done.code == ExitCode.PASSED, done.out + done.err
    assert "before: 3 recordings of pair: 2 VMs x 1 vCPU / 1 pCPU (local)" in done.out
    assert "Phase contended" in done.out
    assert "busy.throughput, work/s (higher is better)" in done.out
    assert "3 same" in done.out
    assert max(map(len, done.out.splitlines())) <= 75


def test_what_is_slower_regressed(lab: Driver, measured: Side) -> None:
    done = lab("compare", measured("before", BEFORE), measured("after", SLOWER))
    assert done.code == ExitCode.FAILED, done.out
    assert "regressed" in done.out
    assert "-10.1%" in done.out
    assert "No A/A" in done.out


def test_the_baseline_can_be_named(lab: Driver, side: Side) -> None:
    done = lab("compare", side("slow", SLOWER), side("fast", BEFORE), "--baseline", "fast")
    assert done.code == ExitCode.FAILED


def test_what_is_too_noisy_is_inconclusive(lab: Driver, side: Side) -> None:
    done = lab("compare", side("before", BEFORE), side("after", NOISY))
    assert done.code == ExitCode.UNDECIDED
    assert "inconclusive" in done.out
    assert "more values" in done.out


def test_two_single_recordings_are_too_few(lab: Driver, side: Side) -> None:
    before, after = side("before", BEFORE[:1]), side("after", SLOWER[:1])
    done = lab("compare", before / "run1", after / "run1")
    assert done.code == ExitCode.UNDECIDED
    # Long paths are broken anywhere.
    assert f"{before / 'run1'}:1recording" in "".join(done.out.split())
    assert "1 of the 3 values that are the least to tell noise by" in " ".join(done.out.split())
    assert "-10.0%" in done.out


def test_names_put_recordings_together(lab: Driver, side: Side) -> None:
    before, after = side("x", BEFORE), side("y", SLOWER)
    words = [f"old={before}/run{n}" for n in (1, 2, 3)] + [f"new={after}/run[123]"]
    done = lab("compare", *words, "--metric", "*throughput")
    assert done.code == ExitCode.FAILED, done.out + done.err
    assert "old: 3 recordings" in done.out
    assert "steal" not in done.out


def test_a_side_that_is_equal_shows_the_noise(lab: Driver, side: Side) -> None:
    done = lab("compare", side("before", BEFORE), side("again", SAME), side("after", SLOWER), "--aa", "again")
    assert done.code == ExitCode.FAILED
    assert "A/A: 'again' is equal to the baseline" in done.out


@pytest.mark.parametrize(("again", "code"), [(SAME, ExitCode.PASSED), (SLOWER, ExitCode.UNDECIDED)])
def test_nothing_but_a_a(lab: Driver, side: Side, again: Sequence[float], code: ExitCode) -> None:
    done = lab("compare", side("before", BEFORE), side("again", again), "--aa", "again")
    assert done.code == code, done.out
    assert "after Holm for 3 comparisons" in " ".join(done.out.split())


def test_phases_and_metrics_can_be_chosen(lab: Driver, side: Side) -> None:
    before, after = side("before", BEFORE), side("after", SLOWER)
    assert lab("compare", before, after, "--metric", "steal").code == ExitCode.PASSED
    done = lab("compare", before, after, "--phase", "folded")
    assert done.code == ExitCode.BAD_INPUT
    assert "nothing to compare" in done.err


def test_the_smallest_change_can_be_chosen(lab: Driver, side: Side) -> None:
    before, after = side("before", BEFORE), side("after", SLOWER)
    assert lab("compare", before, after, "--smallest-change", "20%").code == ExitCode.PASSED
    assert lab("compare", before, after, "--smallest-change", "20").code == ExitCode.BAD_INPUT
    assert lab("compare", before, after, "--smallest-change", "0%").code == ExitCode.BAD_INPUT
    assert lab("compare", before, after, "--confidence", "100%").code == ExitCode.BAD_INPUT


def test_details_have_medians_effects_and_tests(lab: Driver, side: Side) -> None:
    done = lab(
        "compare", side("before", BEFORE), side("after", SLOWER), "--metric", "*throughput", "--details"
    )
    said = " ".join(done.out.split())
    assert "median 1800.0 against 2000.0" in said
    assert "g -12.89" in said and "delta -1.00, p Mann-Whitney 0.1, t " in said
    assert max(map(len, done.out.splitlines())) <= 75


def test_json_has_values_and_verdicts(lab: Driver, measured: Side) -> None:
    done = lab("compare", measured("before", BEFORE), measured("after", SLOWER), "--json")
    assert done.code == ExitCode.FAILED
    document = json.loads(done.out)
    assert (document["baseline"], document["smallest_change_pct"]) == ("before", 6.0)
    assert [one["name"] for one in document["sides"]] == ["before", "after"]
    (window,) = document["sides"][0]["recordings"][0]["windows"]
    values = {one["metric"]: one["value"] for one in window["metrics"]}
    assert values["busy.throughput"] == pytest.approx(2000, rel=1e-3)
    (one,) = [one for one in document["comparisons"] if one["metric"] == "busy.throughput"]
    assert (one["arm"], one["verdict"], one["n"], one["paired"]) == ("after", "regressed", 3, False)
    assert one["change"] == pytest.approx(100 * (900 + 905 + 896) / (1000 + 1010 + 995) - 100, abs=0.05)


def test_doubted_recordings_are_left_out_and_told(lab: Driver, measured: Side) -> None:
    before, after = measured("before", BEFORE), measured("after", SAME)
    write_recording(after / "bad", work_per_s=500)
    events = after / "bad/events.jsonl"
    disturbance = {"t_ns": 20_000_000_000, "kind": "disturbance", "reason": "make ran"}
    events.write_text(events.read_text() + json.dumps(disturbance) + "\n")
    done = lab("compare", before, after)
    assert done.code == ExitCode.PASSED, done.out
    assert "left out: after, bad: host disturbed: make ran" in " ".join(done.out.split())


# ---- what cannot be compared


def test_each_bad_recording_has_its_own_message(lab: Driver, measured: Side) -> None:
    before, after = measured("before", BEFORE), measured("after", SAME)
    (before / "run2/plan.json").write_text("{}")
    (after / "run1/recording.json").write_text('{"format": 99}')
    done = lab("compare", before, after)
    assert done.code == ExitCode.BAD_INPUT
    assert f"{before}/run2/plan.json: cannot be read as a plan" in done.err
    assert f"{after}/run1: format 99" in done.err
    assert "Traceback" not in done.err


def test_what_is_no_recording_is_bad_input(lab: Driver, tmp_path: Path) -> None:
    done = lab("compare", tmp_path / "nowhere", tmp_path)
    assert done.code == ExitCode.BAD_INPUT
    assert "nowhere: no recording there" in done.err
    assert "lab: hint: " in done.err


def test_one_recording_without_arms_has_nothing_to_compare(lab: Driver, side: Side) -> None:
    done = lab("compare", side("before", BEFORE[:1]))
    assert done.code == ExitCode.BAD_INPUT
    assert "no arms to compare inside" in done.err


def test_a_recording_counts_once(lab: Driver, side: Side) -> None:
    before = side("before", BEFORE)
    done = lab("compare", f"a={before}", f"a={before}/run1", f"b={before}")
    assert done.code == ExitCode.BAD_INPUT
    assert "stands twice in a" in done.err


@pytest.mark.parametrize("option", ["--baseline", "--aa"])
def test_sides_that_are_not_there(lab: Driver, side: Side, option: str) -> None:
    done = lab("compare", side("before", BEFORE), side("after", SAME), option, "beforr")
    assert done.code == ExitCode.BAD_INPUT
    assert f"{option} beforr: no side has that name (there is before, after)" in done.err


def test_the_baseline_is_no_a_a(lab: Driver, side: Side) -> None:
    done = lab("compare", side("before", BEFORE), side("after", SAME), "--aa", "before")
    assert done.code == ExitCode.BAD_INPUT


# ---- recordings with arms inside

ARMS = (
    TOPOLOGY.partition("expect:")[0]
    + "arms: [{name: without}, {name: with}]\nrepeats: {count: 3, warmup: 0}\n"
)


def write_arms(directory: Path, without: Sequence[float], with_: Sequence[float]) -> Path:
    """A recording with arms."""
    plan = plan_of(ARMS).comparison
    assert plan is not None
    windows = tuple(
        RecordedWindow(
            "contended",
            arm,
            repeat,
            (MetricValue("contended", "busy.throughput", "work/s", "higher", speed),),
        )
        for arm, speeds in (("without", without), ("with", with_))
        for repeat, speed in enumerate(speeds, 1)
    )
    return keep(directory, windows, replace(plan, details=()))


def test_the_arms_of_one_recording(lab: Driver, tmp_path: Path) -> None:
    done = lab("compare", write_arms(tmp_path / "r", BEFORE, SLOWER))
    assert done.code == ExitCode.FAILED, done.out + done.err
    assert "by pairs of the same repeat" in " ".join(done.out.split())
    assert "    with " in done.out and "regressed" in done.out


def test_arms_are_compared_with_the_same_arms_of_other_recordings(lab: Driver, tmp_path: Path) -> None:
    before = write_arms(tmp_path / "before", BEFORE, SLOWER)
    after = write_arms(tmp_path / "after", SAME, BEFORE)
    done = lab("compare", before, after, "--json")
    assert done.code == ExitCode.PASSED, done.out
    verdicts = {one["phase"]: one["verdict"] for one in json.loads(done.out)["comparisons"]}
    assert verdicts == {"contended.without": "same", "contended.with": "improved"}


# ---- what is kept


def test_metrics_are_kept_and_used_again(lab: Driver, measured: Side) -> None:
    before = measured("before", BEFORE)
    assert metricfile.read_kept(before / "run1") is None
    lab("compare", before, measured("after", SAME))
    kept = metricfile.read_kept(before / "run1")
    assert kept is not None
    assert kept == metricfile.measure_recorded(before / "run1")


def test_check_keeps_them_too(lab: Driver, measured: Side) -> None:
    before = measured("before", BEFORE)
    lab("check", before / "run1")
    assert metricfile.read_kept(before / "run1") is not None


@pytest.mark.parametrize("change", ["bytes", "time", "code", "format", "garbage"])
def test_what_is_out_of_date_is_measured_again(lab: Driver, measured: Side, change: str) -> None:
    run = measured("before", BEFORE[:1]) / "run1"
    metricfile.measure_recorded(run)
    kept, stream = run / metricfile.NAME, run / "guests/one/probe.stream"
    document = json.loads(kept.read_text())
    if change == "bytes":
        stream.write_bytes(stream.read_bytes() + b"b")
    elif change == "time":
        os.utime(stream, ns=(1, 1))
    elif change in ("code", "format"):
        kept.write_text(json.dumps({**document, change: "other"}))
    else:
        kept.write_text('{"format": 1}')
    assert metricfile.read_kept(run) is None
    assert metricfile.read_recorded(run).windows[0].metrics


def test_a_recording_that_cannot_be_written_to_is_compared_all_the_same(measured: Side) -> None:
    run = measured("before", BEFORE[:1]) / "run1"
    (run / metricfile.NAME).mkdir()
    assert metricfile.read_recorded(run).windows[0].metrics
