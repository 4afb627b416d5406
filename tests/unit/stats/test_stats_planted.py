# SPDX-License-Identifier: GPL-2.0-only
"""What the defaults were chosen by: A/A is "same" 19 times in 20, and what is planted is found.

Seeded, so that each count is one number and not a matter of luck; the bounds leave room for none.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter

import pytest

from lab.stats.bootstrap import Bootstrap
from lab.stats.change import Samples
from lab.stats.compare import Change, Question, Rule, compare

LABS = 300


def lab_run(
    random_: random.Random, noise: float, n: int, change: float, drift: float = 0.0
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Throughput of both arms in n interleaved repeats; the machine drifts by `drift` from first to last."""
    speed = [100 * (1 + drift * repeat / n) for repeat in range(n)]
    baseline = tuple(one * random_.gauss(1, noise) for one in speed)
    other = tuple(one * (1 + change) * random_.gauss(1, noise) for one in speed)
    return baseline, other


def verdicts(
    noise: float, n: int = 10, change: float = 0.0, *, paired: bool = True, drift: float = 0.0
) -> Counter[Change]:
    random_ = random.Random(f"{noise} {n} {change}")
    rule = Rule(resamples=1000)
    counted: Counter[Change] = Counter()
    for _ in range(LABS):
        samples = Samples(*lab_run(random_, noise, n, change, drift), paired)
        counted[compare([Question(samples, "higher")], rule)[0].verdict] += 1
    return counted


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("noise", [0.01, 0.02, 0.03])
def test_a_a_over_ten_repeats_is_same_19_times_in_20(noise: float, paired: bool) -> None:
    assert verdicts(noise, paired=paired)[Change.SAME] >= 0.95 * LABS


@pytest.mark.parametrize("noise", [0.01, 0.03])
def test_a_a_on_a_machine_that_drifts_by_a_fifth(noise: float) -> None:
    assert verdicts(noise, drift=-0.2)[Change.SAME] >= 0.95 * LABS


@pytest.mark.parametrize("noise", [0.01, 0.02])
def test_a_a_over_five_repeats(noise: float) -> None:
    assert verdicts(noise, n=5)[Change.SAME] >= 0.95 * LABS


@pytest.mark.parametrize("noise", [0.01, 0.02, 0.03])
@pytest.mark.parametrize("n", [5, 10])
def test_a_tenth_slower_is_found(noise: float, n: int) -> None:
    seen = verdicts(noise, n=n, change=-0.10)
    assert seen[Change.REGRESSED] >= (0.99 if n == 10 or noise < 0.03 else 0.95) * LABS
    assert seen[Change.IMPROVED] == 0


@pytest.mark.parametrize("noise", [0.01, 0.03, 0.10])
def test_nothing_is_seldom_called_a_change(noise: float) -> None:
    seen = verdicts(noise)
    assert seen[Change.IMPROVED] + seen[Change.REGRESSED] <= 0.06 * LABS


@pytest.mark.parametrize("noise", [0.02, 0.05])
def test_a_change_of_the_smallest_size_is_seldom_called_same(noise: float) -> None:
    """What TOST promises: at most alpha."""
    assert verdicts(noise, change=-0.06)[Change.SAME] <= 0.06 * LABS


def test_one_whole_report_errs_no_more_often_than_one_comparison() -> None:
    """Twelve metrics with too much noise for "same": Holm holds the chance of any false claim at 5 %."""
    random_, rule, reports, wrong = random.Random(4), Rule(resamples=500), 120, 0
    for _ in range(reports):
        questions = [Question(Samples(*lab_run(random_, 0.1, 8, 0.0), True), "higher") for _ in range(12)]
        seen = {one.verdict for one in compare(questions, rule)}
        wrong += bool(seen & {Change.IMPROVED, Change.REGRESSED})
    assert wrong <= 0.08 * reports


@pytest.mark.parametrize(("n", "least"), [(5, 0.88), (7, 0.91), (10, 0.92), (20, 0.92)])
@pytest.mark.parametrize("paired", [True, False])
def test_the_interval_holds_the_truth_about_as_often_as_it_says(n: int, least: float, paired: bool) -> None:
    random_, runs, held = random.Random(n), 600, 0
    for _ in range(runs):
        samples = Samples(*lab_run(random_, 0.03, n, -0.1), paired)
        interval = Bootstrap(samples, resamples=2000).interval(95)
        held += interval is not None and interval.low <= -10 <= interval.high
    assert least <= held / runs <= 0.98


def test_statistics_load_numpy_only_when_they_compute() -> None:
    """`lab --help` and every verb that compares nothing start without it."""
    code = (
        "import sys, lab.cli.main, lab.stats.compare, lab.stats.bootstrap\n"
        "heavy = {'numpy', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "sys.argv = ['lab', '--help']\n"
        "try:\n    lab.cli.main.run()\nexcept SystemExit:\n    pass\n"
        "assert not {'numpy', 'scipy'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout
