#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""How often equal arms come out as the same: the lab's own promise, counted on real recordings.

    count_aa.py [--block REPEATS] RECORDING...

Recordings of a topology with `repeats: {aa: true}`, such as topologies/aa.yaml. The counted repeats of each are cut
into blocks (10 by default) that are judged as though each were a run of its own; what is left over is not used.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from lab.cli.metricfile import read_recorded
from lab.judge.acrossrecordings import compare_inside
from lab.judge.arms import ArmComparison
from lab.judge.armtable import render_change, render_interval
from lab.judge.recorded import Recorded


def blocks(recorded: Recorded, size: int) -> Iterator[Recorded]:
    """The recording cut into pieces of `size` repeats."""
    last = max((window.repeat for window in recorded.windows), default=0)
    for begin in range(1, last - size + 2, size):
        inside = range(begin, begin + size)
        yield replace(recorded, windows=tuple(one for one in recorded.windows if one.repeat in inside))


def compared(directory: Path, size: int) -> Iterator[tuple[str, ArmComparison]]:
    """Every comparison of A/A in every block, with the block's name."""
    for number, block in enumerate(blocks(read_recorded(directory), size), 1):
        report = compare_inside(block)
        for one in report.aa if report is not None else ():
            yield f"{directory.name} {number}", one


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--block", type=int, default=10)
    parser.add_argument("recordings", nargs="+", type=Path)
    asked = parser.parse_args()
    counts: dict[str, Counter[str]] = {}
    for directory in asked.recordings:
        for block, one in compared(directory, asked.block):
            done, metric = one.comparison, f"{one.metric.phase} {one.metric.name}"
            counts.setdefault(metric, Counter())[done.verdict] += 1
            change = f"{render_change(done)} {render_interval(done.interval)}"
            print(f"{block:<20} {metric:<32} N {done.n:<3} {change:<24} {done.verdict}")
    for metric, verdicts in counts.items():
        told = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.most_common())
        print(f"{metric}: {told}")


if __name__ == "__main__":
    main()
