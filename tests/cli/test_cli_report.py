# SPDX-License-Identifier: GPL-2.0-only
"""`lab report` on a recording of a real run (quickstart, without what was outside of its host VM) and others."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest
from cli.recordings import write_recording

DATA = Path(__file__).parents[1] / "data/recordings"


def test_a_page_is_written_into_the_recording_and_made_anew(lab, quickstart):
    page = quickstart / "report.html"
    for _ in range(2):
        done = lab("report", quickstart)
        assert (done.code, done.out) == (0, "")
        assert str(page) in done.err
    text = page.read_text()
    assert len(text) < 100 * 1024
    assert "steal of every vCPU in contended" in text
    assert "Two guests share two pCPUs, one-to-one" in text
    assert text.count('class="guest"') == 4  # a line for each vCPU


def test_the_lines_say_what_was_measured(lab, quickstart):
    from lab.cli.report import read_material

    material = read_material(quickstart)
    windows = {one.phase: (one.start_ns, one.end_ns) for one in material.measurements.phases}
    for phase, expected_pct in (("contended", 50), ("folded", 1)):
        low_ns, high_ns = windows[phase]
        for course in material.courses:
            inside = [
                number
                for number, edge_ns in enumerate(course.edges_ns[:-1])
                if low_ns <= edge_ns and course.edges_ns[number + 1] <= high_ns
            ]
            for side in (course.guest_pct, course.host_pct):
                seen = [pct for number in inside if (pct := side[number]) is not None]
                assert len(seen) > 20
                assert sum(seen) / len(seen) == pytest.approx(expected_pct, abs=2)


def test_a_mail_goes_to_stdout(lab, quickstart):
    done = lab("report", quickstart, "--text")
    assert done.code == 0
    assert done.out.startswith("quickstart - PASSED: ")
    assert max(map(len, done.out.splitlines())) <= 75
    assert "guest1 vCPU 1 on pCPU 1" in done.out
    assert "k1: 22.65, guest2, avoid_cpus, (empty) -> 0, /sys/devices/system/cpu/paravirt" in " ".join(
        done.out.split()
    )


def test_nothing_else_is_overwritten_unless_asked(lab, quickstart, tmp_path):
    target = tmp_path / "mine.html"
    target.write_text("precious")
    done = lab("report", quickstart, "-o", target)
    assert done.code == 2
    assert "--force" in done.err
    assert target.read_text() == "precious"
    assert lab("report", quickstart, "-o", target, "--force").code == 0
    assert target.read_text().startswith("<!DOCTYPE html>")


def test_a_page_to_stdout(lab, quickstart):
    done = lab("report", quickstart, "-o", "-")
    assert done.out.startswith("<!DOCTYPE html>")
    assert not (quickstart / "report.html").exists()


def test_a_failed_recording_has_a_report_and_no_failing_exit(lab, tmp_path):
    directory = write_recording(tmp_path / "failed", guest_steal=0.1, host_delay=0.1)
    assert lab("report", directory).code == 0
    assert "FAILED" in (directory / "report.html").read_text()


def test_a_recording_cut_short_has_a_report(lab, quickstart):
    events = quickstart / "events.jsonl"
    events.write_text("".join(events.read_text().splitlines(keepends=True)[:5]))
    stream = quickstart / "guests/guest1/probe.stream"
    stream.write_bytes(stream.read_bytes()[:30_000])
    assert lab("report", quickstart).code == 0
    assert "not measured: folded" in (quickstart / "report.html").read_text()


def test_a_recording_in_which_nothing_happened_has_a_report(lab, quickstart):
    (quickstart / "events.jsonl").write_text("")
    assert lab("report", quickstart).code == 0
    page = (quickstart / "report.html").read_text()
    assert "nothing happened" in page
    assert "No samples" in page


def test_consoles_of_lost_attempts_are_told(lab, quickstart):
    lost = quickstart / "lost/1"
    (lost / "guests/guest1").mkdir(parents=True)
    (lost / "recording.json").write_text((quickstart / "recording.json").read_text())
    (lost / "guests/guest1/console.log").write_bytes(b"[ 1.0] Kernel panic - not syncing: <b>\xff\n")
    (quickstart / "lost/2").mkdir()
    lab("report", quickstart)
    page = (quickstart / "report.html").read_text()
    assert "guest1, lost attempt 1: 1 lines, 1 of them look like trouble" in page
    assert "not syncing: &lt;b&gt;" in page
    assert "lost attempt 2" in page


def test_what_is_no_recording_is_said(lab, tmp_path):
    done = lab("report", tmp_path)
    assert done.code == 2
    assert "recording.json" in done.err
    assert not (tmp_path / "report.html").exists()


def test_a_target_that_cannot_be_written_is_said(lab, quickstart, tmp_path):
    done = lab("report", quickstart, "-o", tmp_path / "none/report.html")
    assert done.code == 2
    assert "none/report.html: cannot be written" in done.err


def test_the_fixture_names_no_machine():
    with tarfile.open(DATA / "quickstart.tar.xz") as archive:
        plan = json.load(archive.extractfile("quickstart/plan.json"))
    assert all(one.startswith("/lab/") for kernel in plan["kernels"] for one in kernel["patches"])
