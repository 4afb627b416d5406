# SPDX-License-Identifier: GPL-2.0-only
"""Knobs on the kernel's command line, on real guests: one is started anew in the middle of a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from e2e_lab import call, run_until_decided

from lab.recording import Recording

BOOT_KNOBS = Path(__file__).parent / "data/boot-knobs.yaml"


pytestmark = pytest.mark.long


def test_a_phase_starts_a_guest_anew_and_steal_is_measured_before_and_after(tmp_path: Path) -> None:
    done, directory = run_until_decided(BOOT_KNOBS, tmp_path, "--json")
    assert done.status == 0, done.out + done.err
    recording = Recording(directory)

    windows = json.loads(done.out)["vcpus"]
    seen = {(one["node"], one["phase"]) for one in windows if 30 < one["guest_steal_pct"] < 70}
    assert seen == {(node, phase) for node in ("changed", "kept") for phase in ("before", "after")}

    restarts = [one.data for one in recording.events() if one.kind == "restart"]
    assert [(one["node"], one["boot"]) for one in restarts] == [("changed", 1)]
    assert "nohz=off" in restarts[0]["cmdline"].split()
    assert len(recording.earlier_guest_streams("changed")) == 1
    assert recording.earlier_guest_streams("kept") == ()
    assert (directory / "guests/changed/boots/0/console.log").exists()

    # What was set in the guest before stands in its new start, too.
    panics = [one for one in recording.events() if one.kind == "knob" and "panic" in one.data["knob"]]
    assert [one.data["new"] for one in panics] == ["-2", "-2"]
    assert panics[0].data["guest_t0_ns"] != panics[1].data["guest_t0_ns"]


def test_a_guest_of_a_lab_that_is_up_is_started_anew_by_hand() -> None:
    assert call("up", BOOT_KNOBS).status == 0
    try:
        kept = call("exec", "kept", "--", "cat", "/proc/cmdline").out.split()
        assert "threadirqs" in kept and "nohz=on" in kept
        boot_id = call("exec", "changed", "--", "cat", "/proc/sys/kernel/random/boot_id").out
        done = call("knob", "set", "changed", "boot.nohz", "0")
        assert done.status == 0, done.err
        assert "nohz=off" in call("exec", "changed", "--", "cat", "/proc/cmdline").out.split()
        assert call("exec", "changed", "--", "cat", "/proc/sys/kernel/random/boot_id").out != boot_id
        assert call("knob", "get", "changed", "boot.nohz").out.strip() == "0"
        assert call("exec", "changed", "--", "cat", "/proc/sys/kernel/panic").out.strip() == "-2"
    finally:
        assert call("down").status == 0
