# SPDX-License-Identifier: GPL-2.0-only
"""`lab export` on recordings whose truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cli.driving import Driver
from cli.recordings import write_recording

from lab.errors import ExitCode


def packets(path: Path) -> list[Any]:
    messages = pytest.importorskip(
        "perfetto.protos.perfetto.trace.perfetto_trace_pb2", reason="pip install perfetto"
    )
    trace = messages.Trace()
    trace.ParseFromString(path.read_bytes())
    return list(trace.packet)


def test_an_untraced_recording_has_its_phases_and_steal(lab: Driver, tmp_path: Path) -> None:
    file = tmp_path / "out.pftrace"
    done = lab("export", write_recording(tmp_path / "r"), "--perfetto", file)
    assert done.code == ExitCode.PASSED, done.err
    assert done.out.startswith(f"{file}: ")
    found = packets(file)
    assert "contended" in {one.track_event.name for one in found}
    tracks = {one.track_descriptor.uuid: one.track_descriptor.name for one in found}
    steal = [
        one.track_event.double_counter_value
        for one in found
        if tracks.get(one.trusted_packet_sequence_id) == "steal, by the guest" and one.HasField("track_event")
    ]
    assert len(steal) > 100
    assert sum(steal) / len(steal) == pytest.approx(50, abs=1)


def test_a_file_that_exists_is_left_as_it_is(lab: Driver, tmp_path: Path) -> None:
    file = tmp_path / "out.pftrace"
    file.write_text("mine")
    done = lab("export", write_recording(tmp_path / "r"), "--perfetto", file)
    assert done.code == ExitCode.BAD_INPUT
    assert f"{file}: exists, and is not overwritten" in done.err
    assert file.read_text() == "mine"


def test_a_place_that_cannot_be_written_to_is_told(lab: Driver, tmp_path: Path) -> None:
    done = lab("export", write_recording(tmp_path / "r"), "--perfetto", tmp_path / "none" / "out.pftrace")
    assert done.code == ExitCode.BAD_INPUT
    assert "cannot be written: No such file or directory" in done.err


def test_a_recording_of_nothing_has_nothing_to_export(lab: Driver, tmp_path: Path) -> None:
    recording = write_recording(tmp_path / "r")
    for name in ("events.jsonl", "host/probe.stream", "guests/one/probe.stream", "guests/two/probe.stream"):
        (recording / name).write_text("")
    done = lab("export", recording, "--perfetto", tmp_path / "out.pftrace")
    assert done.code == ExitCode.BAD_INPUT
    assert "nothing to export" in done.err
    assert not (tmp_path / "out.pftrace").exists()


def test_damage_is_told_with_its_place_and_leaves_no_file(lab: Driver, tmp_path: Path) -> None:
    recording = write_recording(tmp_path / "r")
    (recording / "guests/one/probe.stream").write_bytes(b"pvprobe 1 guest interval_ms=100 boot_ns=1\nwhat\n")
    done = lab("export", recording, "--perfetto", tmp_path / "out.pftrace")
    assert done.code == ExitCode.BAD_INPUT
    assert "guests/one/probe.stream: line 2" in done.err
    assert not (tmp_path / "out.pftrace").exists()


def test_what_is_no_recording_is_told(lab: Driver, tmp_path: Path) -> None:
    done = lab("export", tmp_path, "--perfetto", tmp_path / "out.pftrace")
    assert done.code == ExitCode.BAD_INPUT
    assert "not a recording" in done.err
