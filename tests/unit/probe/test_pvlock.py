# SPDX-License-Identifier: GPL-2.0-only
"""The lock-holder load: that its lock excludes, what it counts, and what it refuses."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from probing import wait_until

from lab.loads.catalogue import shipped_loads
from lab.loads.command import Place, render_load
from lab.loads.values import load_values
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
        (("--mark-us", "0"), "--mark-us must be 1 to 1e+09, not 0"),
        (("--mode", "kernel", "--mark-us", "5"), "no --mark-us"),
    ],
)
def test_a_wrong_request_is_refused(built: Path, options: tuple[str, ...], message: str) -> None:
    done = subprocess.run([built / "pvlock", *options], capture_output=True, text=True, timeout=20)
    assert done.returncode == 2 and message in done.stderr


# ---- marks of what was held for long

LONG = ("--threads", "2", "--hold", "2000000", "--gap", "0", "--seconds", "0.3", "--mark-us", "1000")


def tracing(directory: Path, *instances: str) -> tuple[str, ...]:
    """Options for a pvlock that finds these instances, with files that are no more than files."""
    for name in instances:
        (directory / "instances" / name).mkdir(parents=True)
        (directory / "instances" / name / "trace_marker").touch()
    return ("--tracing", str(directory))


def marks(directory: Path, instance: str) -> list[tuple[str, int]]:
    """(name, ns) of every mark in an instance; fails where anything else stands there."""
    lines = (directory / "instances" / instance / "trace_marker").read_text().splitlines()
    found = [re.fullmatch(r"pvlock (hold|marks) (\w+) (\d+)", line) for line in lines]
    assert all(found), lines
    return [(one[2], int(one[3])) for one in found if one is not None and one[1] == "hold"]


def said(directory: Path) -> set[str]:
    """What is said of what is marked, in the first instance."""
    text = (directory / "instances/lab-one-7/trace_marker").read_text()
    return {line for line in text.splitlines() if line.startswith("pvlock marks ")}


@pytest.mark.parametrize("mode", ["spin", "futex"])
def test_long_holds_are_marked_in_every_instance_of_the_tracer(
    built: Path, tmp_path: Path, mode: str
) -> None:
    options = tracing(tmp_path, "lab-one-7", "lab-two-8", "others")
    text = run(built, "--mode", mode, *LONG, *options)
    first, second = marks(tmp_path, "lab-one-7"), marks(tmp_path, "lab-two-8")
    assert len(first) == len(second) == numbers(text, "pvlock 1")["operations"]
    assert all(name == mode and ns > 1_000_000 for name, ns in (*first, *second))
    assert marks(tmp_path, "others") == []
    assert sum(ns for _, ns in first) <= 1.01 * numbers(text, "pvlock 1")["elapsed_ns"]


def test_an_instance_that_comes_later_is_found(built: Path, tmp_path: Path) -> None:
    command = [built / "pvlock", "--mode", "futex", *LONG, "--tracing", tmp_path, "--seconds", "1000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        time.sleep(0.2)
        tracing(tmp_path, "lab-late-9")
        wait_until("marks", lambda: len(marks(tmp_path, "lab-late-9")) > 3)
        process.terminate()
        assert process.wait(20) == 0


def test_nothing_is_marked_that_is_short_or_unasked(built: Path, tmp_path: Path) -> None:
    options = tracing(tmp_path, "lab-one-7")
    run(built, "--mode", "futex", "--hold", "2000000", "--seconds", "0.1", *options)
    assert said(tmp_path) == set()
    run(built, "--mode", "futex", "--hold", "2000", "--seconds", "0.1", *options, "--mark-us", "1000000")
    assert marks(tmp_path, "lab-one-7") == []
    assert said(tmp_path) == {"pvlock marks futex 1000000000"}


def test_where_nobody_traces_it_runs_all_the_same(built: Path, tmp_path: Path) -> None:
    text = run(built, "--mode", "spin", *LONG, "--tracing", str(tmp_path / "absent"))
    assert numbers(text, "pvlock 1")["operations"] > 0


INSTANCES = Path("/sys/kernel/tracing/instances")


@pytest.mark.skipif(not os.access(INSTANCES, os.W_OK), reason="no tracefs, or not root")
def test_marks_stand_in_a_real_trace_and_hold_no_instance(built: Path, tmp_path: Path) -> None:
    """By a name of this test's own, so that windows that others trace on this machine stay as they are."""
    instance = INSTANCES / f"pvlock-test-{os.getpid()}"
    (tmp_path / "instances").mkdir()
    (tmp_path / "instances/lab-own-1").symlink_to(instance)
    command = [built / "pvlock", "--mode", "futex", *LONG, "--tracing", tmp_path, "--seconds", "1000"]
    instance.mkdir()
    try:
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            wait_until("marks", lambda: (instance / "trace").read_text().count(": pvlock hold ") > 3)
            text = (instance / "trace").read_text()
            wait_until("the instance to be removed", lambda: removed(instance))
            process.terminate()
            assert process.wait(20) == 0
    finally:
        removed(instance)
    found = re.findall(r"tracing_mark_write: pvlock hold futex (\d+)$", text, re.MULTILINE)
    assert len(found) > 3 and all(int(ns) > 1_000_000 for ns in found)


def removed(instance: Path) -> bool:
    """Whether it is gone; a mark that is just being written keeps it for a moment."""
    with contextlib.suppress(OSError):
        instance.rmdir()
    return not instance.exists()


def test_the_catalogue_asks_for_marks_as_it_takes_them(built: Path, tmp_path: Path) -> None:
    kind = shipped_loads()["lock-holder"]
    place = Place("guest", 2, 256, "10.0.0.2", "10.0.0.3", {})
    asked = {"mode": "futex", "hold_ns": 2_000_000, "seconds": 0.2, "mark_us": 1000}
    words = render_load(kind, load_values(kind, asked), place).words
    run(built, *words[1:], *tracing(tmp_path, "lab-one-7"))
    assert words[0] == "pvlock" and marks(tmp_path, "lab-one-7")
    assert "--mark-us" not in render_load(kind, load_values(kind, {}), place).words
