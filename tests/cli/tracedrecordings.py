# SPDX-License-Identifier: GPL-2.0-only
"""A recording whose phase was traced: a small real trace stands in for that of its host."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from cli.recordings import TOPOLOGY, write_recording

#: Two loops on pCPU 1 that stand in for the vCPUs of `one` and `two`.
TRACE = Path(__file__).parents[1] / "data" / "traces" / "host-6.18-mono"
THREADS = "8635 one vcpu 0\n8636 two vcpu 0\n"
TRACED = TOPOLOGY.replace("    duration: 15s\n", "    duration: 15s\n    trace: sched\n")


def write_traced(directory: Path, text: str = TRACED) -> Path:
    """What was measured lies within what was traced, by a tenth of a second at either end."""
    recording = write_recording(directory, text)
    times = [int(line.split()[2]) for line in _about().splitlines() if line.startswith("pair ")]
    window = {"start_ns": min(times) + 100_000_000, "end_ns": max(times) - 100_000_000}
    event = {"t_ns": window["end_ns"], "kind": "phase", "phase": "contended", **window}
    knob = {"t_ns": window["start_ns"] + 150_000_000, "kind": "knob", "node": "one", "knob": "avoid_cpus"}
    events = [{**knob, "old": "", "new": "1"}, event]
    (recording / "events.jsonl").write_text("".join(json.dumps(one) + "\n" for one in events))
    target = recording / "host" / "traces" / "contended"
    shutil.copytree(TRACE, target)
    (target / "threads").write_text(THREADS)
    return recording


def _about() -> str:
    return (TRACE / "about").read_text()
