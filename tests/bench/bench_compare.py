#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Time to compare the 1,000 recordings of a sweep, and what measuring, judging and statistics take of it.

    bench_compare.py [RECORDINGS]

Two sides of equal size. `measured`: nothing is kept of them yet, of 20 recordings with 30 s at 100 ms and two
guests; `kept`: each was judged before, as `lab run` does at its end. `statistics`: 1,000 comparisons of ten pairs
in one report.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parents[1]))

from cli.recordings import write_recording

from lab.cli.judging import judge_recording
from lab.cli.metricfile import keep_recorded, measure_recorded, read_recorded
from lab.judge.acrossrecordings import Side, compare_sides
from lab.judge.acrosstable import render_sides
from lab.stats.change import Samples
from lab.stats.compare import Question, Rule, compare

FEW = 20


def seconds(work: Callable[[], object]) -> float:
    """How long `work` takes."""
    began = perf_counter()
    work()
    return perf_counter() - began


def copies(directory: Path, number: int) -> list[Path]:
    """So many recordings of one run."""
    first = write_recording(directory / "0")
    return [first, *(shutil.copytree(first, directory / str(one)) for one in range(1, number))]


def compare_all(recordings: list[Path]) -> str:
    """What `lab compare` does with them."""
    read = [(path.name, read_recorded(path)) for path in recordings]
    half = len(read) // 2
    sides = (Side("before", tuple(read[:half])), Side("after", tuple(read[half:])))
    return render_sides(compare_sides(sides, "before", None, Rule()), sides)


def statistics() -> None:
    """1,000 comparisons in one report."""
    random_ = random.Random(1)

    def ten() -> tuple[float, ...]:
        return tuple(random_.gauss(100, 2) for _ in range(10))

    compare([Question(Samples(ten(), ten(), paired=True), "higher") for _ in range(1000)], Rule())


def main() -> None:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as name:
        recordings = copies(Path(name), number)
        measured = seconds(lambda: [measure_recorded(one) for one in recordings[:FEW]]) / FEW
        judged = seconds(lambda: [judge_recording(one) for one in recordings[:FEW]]) / FEW
        again = judge_recording(recordings[0])
        for one in recordings:
            keep_recorded(one, again.plan, again.measurements)
        kept = seconds(lambda: compare_all(recordings))
    print(f"measured   {1000 * measured:7.1f} ms for each recording")
    print(f"judged     {1000 * judged:7.1f} ms for each recording")
    print(f"kept       {kept:7.2f} s for {number} recordings read and compared")
    print(f"statistics {seconds(statistics):7.2f} s for 1,000 comparisons")


if __name__ == "__main__":
    main()
