# SPDX-License-Identifier: GPL-2.0-only
"""`lab export` on recordings whose truth is known."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from cli.driving import Driver
from cli.recordings import TOPOLOGY, write_recording

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


#: What tests/data/traces/host-6.18-tsc spans, and two threads of it that take turns on a pCPU, taken for vCPUs.
FIRST_NS, LAST_NS = 41_791_178_200_000, 41_792_132_870_000
THREADS = "8556 one vcpu 0\n8557 two vcpu 0\n8558 noisy thread 0\n"


def write_traced(directory: Path) -> Path:
    """A recording whose only phase was traced on the host."""
    recording = write_recording(
        directory, TOPOLOGY.replace("duration: 15s", "duration: 15s\n    trace: sched")
    )
    phase = {"t_ns": LAST_NS, "kind": "phase", "phase": "contended", "start_ns": FIRST_NS, "end_ns": LAST_NS}
    (recording / "events.jsonl").write_text(json.dumps(phase) + "\n")
    traces = recording / "host/traces/contended"
    shutil.copytree(Path(__file__).parents[1] / "data/traces/host-6.18-tsc", traces)
    (traces / "threads").write_text(THREADS)
    return recording


def slices(path: Path) -> dict[str, list[tuple[int, str]]]:
    """By the name of each track its slices: when each begins and its name."""
    tracks: dict[int, str] = {}
    names: dict[tuple[int, int], str] = {}
    found: dict[str, list[tuple[int, str]]] = {}
    for one in packets(path):
        sequence = one.trusted_packet_sequence_id
        tracks[sequence] = tracks.get(sequence) or one.track_descriptor.name
        names.update({(sequence, text.iid): text.name for text in one.interned_data.event_names})
        if one.track_event.type == 1:
            name = one.track_event.name or names[sequence, one.track_event.name_iid]
            found.setdefault(tracks[sequence], []).append((one.timestamp, name))
    return found


def test_a_traced_recording_has_who_ran_and_what_vcpus_did(lab: Driver, tmp_path: Path) -> None:
    file = tmp_path / "out.pftrace"
    done = lab("export", write_traced(tmp_path / "r"), "--perfetto", file)
    assert done.code == ExitCode.PASSED, done.err
    found = slices(file)
    assert {"one vcpu 0", "two vcpu 0", "hog noisy"} <= {name for _, name in found["pCPU 1"]}
    assert {"running", "preempted by two vcpu 0"} <= {name for _, name in found["vCPU 0"]}
    assert all(FIRST_NS <= t_ns < LAST_NS for t_ns, _ in found["pCPU 1"])


def test_of_a_damaged_trace_what_is_readable_is_exported(lab: Driver, tmp_path: Path) -> None:
    recording = write_traced(tmp_path / "r")
    raw = recording / "host/traces/contended/cpu1.raw"
    raw.write_bytes(raw.read_bytes()[: 5 * 4096 + 100])
    file = tmp_path / "out.pftrace"
    done = lab("export", recording, "--perfetto", file)
    assert done.code == ExitCode.PASSED, done.err
    assert {"running", "preempted by two vcpu 0"} <= {name for _, name in slices(file)["vCPU 0"]}
    told = [one.track_event.name for one in packets(file)]
    assert any(name.startswith("trace of contended: ") for name in told)


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
