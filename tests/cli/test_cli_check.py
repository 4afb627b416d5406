# SPDX-License-Identifier: GPL-2.0-only
"""`lab check` on recordings whose truth is known."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from cli.driving import Driver
from cli.recordings import TOPOLOGY, plan_of, write_recording
from cli.recordings import S as SECOND_NS

from lab.errors import ExitCode

IMPOSSIBLE = TOPOLOGY.replace("max: 60%", "max: 45%")


def test_a_recording_that_keeps_its_expectations_passes(lab: Driver, tmp_path: Path) -> None:
    done = lab("check", write_recording(tmp_path / "r"))
    assert done.code == ExitCode.PASSED, done.out + done.err
    assert "Phase contended, 15.0 s" in done.out
    assert "PASSED" in done.out
    assert str(tmp_path / "r") in done.out
    assert done.err == ""


def test_an_expectation_that_cannot_hold_fails(lab: Driver, tmp_path: Path) -> None:
    done = lab("check", write_recording(tmp_path / "r", IMPOSSIBLE))
    assert done.code == ExitCode.FAILED
    assert "FAILED" in done.out


def test_sides_that_disagree_leave_it_undecided(lab: Driver, tmp_path: Path) -> None:
    text = TOPOLOGY.replace("  - agreement: {max: 2%}\n", "")
    done = lab("check", write_recording(tmp_path / "r", text, host_delay=0.56))
    assert done.code == ExitCode.UNDECIDED, done.out
    assert "apart (bound 2 %)" in " ".join(done.out.split())


def test_other_expectations_can_be_tried_on_the_same_bytes(lab: Driver, tmp_path: Path) -> None:
    recording = write_recording(tmp_path / "r")
    (tmp_path / "other.yaml").write_text(IMPOSSIBLE)
    assert lab("check", recording, "--expect", tmp_path / "other.yaml").code == ExitCode.FAILED
    assert lab("check", recording).code == ExitCode.PASSED


def test_json_has_both_sides_and_is_kept_in_the_recording(lab: Driver, tmp_path: Path) -> None:
    recording = write_recording(tmp_path / "r")
    document = json.loads(lab("check", recording, "--json").out)
    assert document["outcome"] == "passed"
    assert document["recording"] == str(recording)
    for vcpu in document["vcpus"]:
        assert vcpu["guest_steal_pct"] == pytest.approx(50, abs=0.5)
        assert vcpu["host_steal_pct"] == pytest.approx(50, abs=0.5)
    kept = json.loads((recording / "verdicts.json").read_text())
    assert kept == {key: value for key, value in document.items() if key != "recording"}


ARMS = f"""\
{TOPOLOGY.partition("expect:")[0].replace("15s", "5s")}
arms: [{{name: without}}, {{name: with}}]
repeats: {{count: 3, warmup: 0}}
expect:
  - agreement: {{max: 2%}}
  - compare: {{phase: contended, arm: with, load: busy, verdict: [same]}}
"""


def write_arms(directory: Path) -> Path:
    """A recording with two arms, three repeats of 5 s each, all the same."""
    recording = write_recording(directory, ARMS, length_s=36)
    lines = []
    for number, phase in enumerate(plan_of(ARMS).phases):
        window = {"start_ns": (11 + 5 * number) * SECOND_NS, "end_ns": (16 + 5 * number) * SECOND_NS}
        lines.append({"t_ns": window["end_ns"], "kind": "phase", "phase": phase.name, **window})
    (recording / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return recording


def test_arms_are_compared_and_the_rest_is_told_in_short(lab: Driver, tmp_path: Path) -> None:
    done = lab("check", write_arms(tmp_path / "r"))
    assert done.code == ExitCode.PASSED, done.out + done.err
    assert "2 arms x 3 repeats, order random, seed 1; baseline: without" in done.out
    assert "busy.throughput, work/s (higher is better)" in done.out
    assert "6 of 6 windows measured" in done.out
    assert "4 passed" in done.out
    assert "with: busy in contended against without: same" in done.out
    assert "No A/A" in done.out
    assert "predict" not in done.out
    assert max(len(line) for line in done.out.splitlines() if not line.startswith("recording:")) <= 75


def test_the_document_of_arms_has_the_comparison(lab: Driver, tmp_path: Path) -> None:
    document = json.loads(lab("check", write_arms(tmp_path / "r"), "--json").out)
    assert document["comparison"]["baseline"] == "without"
    verdicts = {one["metric"]: one["verdict"] for one in document["comparison"]["comparisons"]}
    assert verdicts == {"busy.throughput": "same", "busy.fairness": "same", "steal": "same"}


def test_junit_is_written_where_it_is_wanted(lab: Driver, tmp_path: Path) -> None:
    junit = tmp_path / "junit.xml"
    lab("check", write_recording(tmp_path / "r", IMPOSSIBLE), "--junit", junit)
    suite = ElementTree.parse(junit).getroot().find("testsuite")
    assert suite is not None
    assert suite.get("failures") == "2"


def test_junit_that_cannot_be_written_is_bad_input(lab: Driver, tmp_path: Path) -> None:
    done = lab("check", write_recording(tmp_path / "r"), "--junit", tmp_path / "nowhere" / "junit.xml")
    assert done.code == ExitCode.BAD_INPUT
    assert "nowhere" in done.err


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("recording.json", b"{"),
        ("recording.json", b'{"format": 99}'),
        ("plan.json", b"{}"),
        ("events.jsonl", b"not json\n"),
        ("events.jsonl", b'{"t_ns": 1, "kind": "phase"}\n'),
        ("host/probe.stream", b"pvprobe 9 host interval_ms=100 boot_ns=1\n"),
        ("guests/one/probe.stream", b"something else\n"),
    ],
)
def test_a_damaged_recording_is_bad_input(lab: Driver, tmp_path: Path, file: str, content: bytes) -> None:
    recording = write_recording(tmp_path / "r")
    (recording / file).write_bytes(content)
    done = lab("check", recording)
    assert done.code == ExitCode.BAD_INPUT, done.err
    assert done.err.startswith("lab: error: ")
    assert Path(file).name in done.err or "format" in done.err
    assert "Traceback" not in done.err


def test_what_is_no_recording_is_bad_input(lab: Driver, tmp_path: Path) -> None:
    done = lab("check", tmp_path)
    assert done.code == ExitCode.BAD_INPUT
    assert "not a recording" in done.err
    assert "lab: hint: " in done.err
