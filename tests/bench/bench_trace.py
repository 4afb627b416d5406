#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""What tracing costs: throughput of hackbench traced against untraced, interleaved in one lab on real guests.

    bench_trace.py RECORDING [REPEATS]

Runs trace-cost.yaml and records it into RECORDING, or reads that where it is there already. Prints how each traced
arm did against the untraced one, and what the recorders themselves used of one CPU, how many events a second there
were, and how many of all were lost.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

from lab.trace.about import About, parse_about

TOPOLOGY = Path(__file__).with_name("trace-cost.yaml")
LAB = Path(sys.executable).parent / "lab"
METRIC = "hack.messages"


def lab(*words: str | Path) -> dict[str, Any]:
    """What a command says, for programs. A disturbed host leaves verdicts undecided, not figures unsaid."""
    done = subprocess.run([LAB, *map(str, words), "--json"], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode not in (0, 1, 5):
        sys.exit(done.returncode)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def run(recording: Path, repeats: int | None) -> dict[str, Any]:
    """The whole comparison, with fewer or more repeats than the file has."""
    with tempfile.TemporaryDirectory() as name:
        topology = Path(name) / TOPOLOGY.name
        text = TOPOLOGY.read_text()
        topology.write_text(text if repeats is None else text.replace("count: 10", f"count: {repeats}"))
        return lab("run", topology, "--record", recording)


def compared(document: dict[str, Any]) -> Iterator[str]:
    """A line for each arm, and one for how much two equal arms differed."""
    for one in document["comparison"]["comparisons"]:
        if one["metric"] == METRIC:
            low, high = one["interval"] or (None, None)
            change = f"{one['change']} ({low} to {high}, {one['scale']}), n={one['n']}, {one['verdict']}"
            yield f"{one['arm']:10s}{'A/A ' if one['aa'] else ''}{METRIC} {change} {one['reason'] or ''}".rstrip()


def costs(recording: Path) -> Iterator[str]:
    """A line for each machine that was traced."""
    machines: dict[str, list[About]] = {}
    for path in sorted(recording.rglob("traces/*/about")):
        machines.setdefault(path.parents[2].name, []).append(parse_about(path.read_bytes()))
    for machine, found in machines.items():
        costs_pct = [100 * (one.cost_ns or 0) / _elapsed_ns(one) for one in found]
        rates = [1e9 * sum(cpu.entries for cpu in one.counts.values()) / _elapsed_ns(one) for one in found]
        lost = sum(cpu.lost for one in found for cpu in one.counts.values())
        yield (
            f"{machine:10s}{len(found)} windows: recorder {min(costs_pct):.2f} / {median(costs_pct):.2f} / "
            f"{max(costs_pct):.2f} % of one CPU, {median(rates):.0f} events/s, {lost} lost"
        )


def _elapsed_ns(about: About) -> int:
    """By the first and the last pair of clocks."""
    return about.pairs[-1].mono_ns - about.pairs[0].mono_ns


def main() -> None:
    recording = Path(sys.argv[1])
    repeats = int(sys.argv[2]) if len(sys.argv) > 2 else None
    document = lab("check", recording) if recording.is_dir() else run(recording, repeats)
    for line in (*compared(document), *costs(recording)):
        print(line)


if __name__ == "__main__":
    main()
