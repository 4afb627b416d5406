#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""What recordings say of the measuring itself: what the probes cost, and how well the two sides agree.

    measure_recording.py RECORDING...

For each phase: the guest probes' own CPU time in per cent of one vCPU (least, median, most over the guests), the
same for the host probe, the largest disagreement of the two sides over all vCPUs, and the clocks' error.
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import median

from lab.measure.derive import measure_recording
from lab.measure.probestream import ProbeStream, parse_stream
from lab.recording import Recording


def cost_pct(stream: ProbeStream, start_ns: int, end_ns: int) -> float:
    """The probe's own CPU time between two times of its clock, per cent of one CPU."""
    inside = [sample for sample in stream.samples if start_ns <= sample.t_ns <= end_ns]
    first, last = inside[0], inside[-1]
    return 100 * (last.probe_cpu_ns - first.probe_cpu_ns) / (last.t_ns - first.t_ns)


def report(directory: Path) -> None:
    recording = Recording(directory)
    plan = recording.plan()
    measured = measure_recording(recording, plan)
    offsets = {match.node: match.offset_ns for match in measured.clocks}
    host = parse_stream(recording.host_stream())
    guests = {node.name: parse_stream(recording.guest_stream(node.name)) for node in plan.nodes}
    for phase in measured.phases:
        costs = [
            cost_pct(stream, phase.start_ns - offsets[name], phase.end_ns - offsets[name])
            for name, stream in guests.items()
        ]
        apart = [one.disagreement_pct for one in measured.vcpus if one.phase == phase.phase]
        errors = [match.error_ns / 1e6 for match in measured.clocks]
        print(
            f"{directory} {phase.phase}: guest probes {min(costs):.2f} / {median(costs):.2f} / {max(costs):.2f} %, "
            f"host probe {cost_pct(host, phase.start_ns, phase.end_ns):.2f} %, "
            f"sides apart at most {max(filter(None, apart), default=0.0):.3f} %, "
            f"clocks within {max(errors):.1f} ms"
        )


if __name__ == "__main__":
    for name in sys.argv[1:]:
        report(Path(name))
