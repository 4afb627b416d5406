# SPDX-License-Identifier: GPL-2.0-only
"""`lab preempt` and `lab timeline` on recordings that were traced, and on others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli.driving import Driver
from cli.recordings import TOPOLOGY, write_recording
from cli.tracedrecordings import TRACED, write_traced

from lab.errors import ExitCode

TWO_PHASES = TRACED.replace(
    "expect:", "  - {name: again, duration: 5s, trace: sched}\n  - {name: quiet, duration: 5s}\nexpect:"
)


def widest(text: str) -> int:
    return max(len(line) for line in text.splitlines())


def test_a_traced_recording_has_its_table(lab: Driver, tmp_path: Path) -> None:
    done = lab("preempt", write_traced(tmp_path / "r"))
    assert done.code == ExitCode.PASSED, done.err
    assert "preemptions, by the trace; times in ms" in done.out
    assert "two vcpu 0" in done.out
    assert "lost events: none" in done.out
    assert "/s: preemptions per second" in done.out
    assert widest(done.out) <= 75


def test_its_document_has_what_the_kernel_traced(lab: Driver, tmp_path: Path) -> None:
    done = lab("preempt", write_traced(tmp_path / "r"), "--json")
    (phase,) = json.loads(done.out)["phases"]
    assert phase["traced"] is True
    for vcpu in phase["vcpus"]:
        trace = vcpu["trace"]
        known_ns = sum(trace[name] for name in ("run_ns", "preempted_ns", "waking_ns", "blocked_ns"))
        assert known_ns == pytest.approx(trace["elapsed_ns"], rel=0.02)
        assert trace["preemptions"]["count"] > 10
        # Two loops share a pCPU.
        assert trace["preempted_ns"] == pytest.approx(trace["elapsed_ns"] / 2, rel=0.2)
        other = "two" if vcpu["node"] == "one" else "one"
        assert trace["by"][0]["taker"] == f"{other} vcpu 0"


def test_without_traces_counters_are_told(lab: Driver, tmp_path: Path) -> None:
    done = lab("preempt", write_recording(tmp_path / "r"))
    assert done.code == ExitCode.PASSED, done.err
    assert "Phase contended, 15.0 s: not traced, so these are counters only" in done.out
    assert "invol/s" in done.out
    assert "50.0" in done.out
    assert widest(done.out) <= 75


def test_an_unknown_phase_is_bad_input(lab: Driver, tmp_path: Path) -> None:
    done = lab("preempt", write_recording(tmp_path / "r"), "--phase", "quiet*")
    assert done.code == ExitCode.BAD_INPUT
    assert "--phase quiet*: no phase of that name (there is contended)" in done.err


@pytest.mark.parametrize("verb", ["preempt", "timeline"])
def test_what_is_no_recording_is_bad_input(lab: Driver, tmp_path: Path, verb: str) -> None:
    done = lab(verb, tmp_path)
    assert done.code == ExitCode.BAD_INPUT
    assert "not a recording" in done.err


def test_a_timeline_has_strips_changes_and_knobs(lab: Driver, tmp_path: Path) -> None:
    done = lab("timeline", write_traced(tmp_path / "r"), "--from", "100ms", "--to", "200ms")
    assert done.code == ExitCode.PASSED, done.err
    assert "Phase contended, 100.000 .. 200.000 ms after its start" in done.out
    assert " 150.000 - one * knob avoid_cpus: (empty) -> 1 " in " ".join(done.out.split())
    assert "preempted by two vcpu 0" in done.out
    assert "preempted by foreign sleep" in done.out
    strips = [line.split()[1] for line in done.out.splitlines() if line.startswith("  one/0 ")]
    assert set(strips[0]) <= set("Rpw.")
    assert widest(done.out) <= 75


def test_a_timeline_of_one_node_leaves_the_other_out(lab: Driver, tmp_path: Path) -> None:
    done = lab("timeline", write_traced(tmp_path / "r"), "--node", "two")
    assert "two/0" in done.out
    assert "one/0" not in done.out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--phase", "nowhere"], "--phase nowhere: no phase of that name (there is contended)"),
        (["--from", "3"], "--from: duration '3' needs a unit"),
        (["--from", "2s", "--to", "1s"], "--to 1s: is not after --from 2s"),
        (["--from", "5s"], "--from 5s: phase contended was measured for 0."),
        (["--node", "three"], "--node three: no node of that name (there is one, two)"),
    ],
)
def test_what_a_timeline_cannot_show_is_bad_input(
    lab: Driver, tmp_path: Path, options: list[str], message: str
) -> None:
    done = lab("timeline", write_traced(tmp_path / "r"), *options)
    assert done.code == ExitCode.BAD_INPUT, done.out
    assert message in done.err


def test_which_phase_must_be_clear_and_one_that_was_traced(lab: Driver, tmp_path: Path) -> None:
    several = write_recording(tmp_path / "r", TWO_PHASES)
    unclear = lab("timeline", several)
    assert unclear.code == ExitCode.BAD_INPUT
    assert "several phases were traced (contended, again): say which" in unclear.err
    untraced = lab("timeline", several, "--phase", "quiet")
    assert untraced.code == ExitCode.BAD_INPUT
    assert "phase quiet was not traced" in untraced.err
    missing = lab("timeline", several, "--phase", "again")
    assert missing.code == ExitCode.BAD_INPUT
    assert "phase again was to be traced, but was not measured" in missing.err


def test_a_recording_without_traces_has_no_timeline_but_says_what_there_is(
    lab: Driver, tmp_path: Path
) -> None:
    done = lab("timeline", write_recording(tmp_path / "r", TOPOLOGY))
    assert done.code == ExitCode.BAD_INPUT
    assert "no phase of this recording was traced" in done.err
    assert "lab preempt" in done.err


def test_traces_that_are_gone_are_told_and_judged_undecided(lab: Driver, tmp_path: Path) -> None:
    text = TRACED.partition("expect:")[0]
    text += "expect:\n  - preempted: {phase: contended, statistic: rate, max: 1000}\n"
    done = lab("check", write_recording(tmp_path / "r", text))
    assert done.code == ExitCode.UNDECIDED, done.out + done.err
    assert "the host's trace spans 0.0 s of the window's 15.0 s" in " ".join(done.out.split())
