# SPDX-License-Identifier: GPL-2.0-only
"""The lock-holder load: that its lock excludes, what it counts, and what it refuses."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from lab.measure.loadparsers import parse_pvlock

MODES = ("spin", "futex", "kernel")


def run(built: Path, *options: str) -> str:
    done = subprocess.run([built / "pvlock", *options], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def numbers(text: str, line: str) -> dict[str, int]:
    (found,) = re.findall(rf"^{line} (.*)$", text, re.MULTILINE)
    return {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)(?=\s|$)", found)}


def buckets(text: str, name: str) -> dict[int, int]:
    return {
        int(low): int(count) for low, count in re.findall(rf"^{name}-bucket (\d+) (\d+)$", text, re.MULTILINE)
    }


@pytest.mark.parametrize("mode", MODES)
def test_what_is_counted_adds_up(built: Path, mode: str) -> None:
    text = run(built, "--mode", mode, "--threads", "3", "--hold", "2000", "--gap", "2000", "--seconds", "0.3")
    head = numbers(text, "pvlock 1")
    assert head["threads"] == 3 and head["elapsed_ns"] >= 300_000_000
    for name in ("wait",) if mode == "kernel" else ("wait", "hold"):
        times, histogram = numbers(text, name), buckets(text, name)
        assert times["count"] == head["operations"] == sum(histogram.values()) > 100
        assert times["p50_ns"] <= times["p99_ns"] <= times["max_ns"]
        assert max(histogram) <= max(1, times["max_ns"]) < 2 * max(1, max(histogram))
        assert all(low == 0 or low & (low - 1) == 0 for low in histogram)
    assert ("hold " in text) == (mode != "kernel")


@pytest.mark.parametrize("mode", ["spin", "futex"])
def test_one_holds_it_at_a_time(built: Path, mode: str) -> None:
    """All holds together fit into the time that passed; without exclusion four threads hold longer than that."""
    text = run(built, "--mode", mode, "--threads", "4", "--hold", "20000", "--gap", "0", "--seconds", "0.5")
    hold, head = numbers(text, "hold"), numbers(text, "pvlock 1")
    held_ns = hold["mean_ns"] * hold["count"]
    assert held_ns <= 1.01 * head["elapsed_ns"]
    assert held_ns > 0.3 * head["elapsed_ns"]


@pytest.mark.parametrize("mode", ["spin", "futex"])
def test_the_critical_section_is_as_long_as_asked(built: Path, mode: str) -> None:
    for asked_ns in (5_000, 100_000):
        head = numbers(run(built, "--mode", mode, "--hold", str(asked_ns), "--seconds", "0.2"), "pvlock 1")
        assert 0.7 * asked_ns < head["alone_ns"] < 2 * asked_ns


def test_more_sleepers_make_the_kernels_section_longer(built: Path) -> None:
    short, long = (
        numbers(run(built, "--mode", "kernel", "--hold", str(ns), "--seconds", "0.1"), "pvlock 1")
        for ns in (100, 3_000)
    )
    assert short["sleepers"] < long["sleepers"] <= 1024
    assert short["alone_ns"] < long["alone_ns"]


def test_who_waits_waits_for_the_holder(built: Path) -> None:
    """With one thread nobody waits; with two, and no gap, waits are about as long as holds."""
    alone = numbers(
        run(built, "--mode", "futex", "--hold", "50000", "--gap", "0", "--seconds", "0.2"), "wait"
    )
    assert alone["p50_ns"] < 5_000
    options = ("--mode", "futex", "--threads", "2", "--hold", "50000", "--gap", "0", "--seconds", "0.3")
    assert numbers(run(built, *options), "wait")["max_ns"] > 50_000


def test_it_reports_when_it_is_stopped_early(built: Path) -> None:
    command = [built / "pvlock", "--mode", "spin", "--threads", "2", "--seconds", "1000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        text = process.communicate(timeout=20)[0]
    assert process.returncode == 0 and parse_pvlock(text)["operations"] > 0


def test_the_parser_reads_what_it_says(built: Path) -> None:
    text = run(built, "--mode", "spin", "--threads", "2", "--seconds", "0.2")
    found, head = parse_pvlock(text), numbers(text, "pvlock 1")
    assert found["operations"] == pytest.approx(head["operations"] * 1e9 / head["elapsed_ns"])
    assert found["hold_p99"] == numbers(text, "hold")["p99_ns"] / 1000
    assert set(found) == {
        "operations",
        *(f"{a}_{b}" for a in ("wait", "hold") for b in ("p50", "p99", "max")),
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--mode", "ticket"), "not ticket"),
        (("--threads", "0"), "--threads must be 1 to 256, not 0"),
        (("--threads", "x"), "not x"),
        (("--hold", "-1"), "not -1"),
        (("--seconds", "0"), "not 0"),
        (("--seconds", "nan"), "not nan"),
        (("--hold",), "no value for option --hold"),
        (("--color", "red"), "unknown option --color"),
    ],
)
def test_a_wrong_request_is_refused(built: Path, options: tuple[str, ...], message: str) -> None:
    done = subprocess.run([built / "pvlock", *options], capture_output=True, text=True, timeout=20)
    assert done.returncode == 2 and message in done.stderr
