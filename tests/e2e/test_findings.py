# SPDX-License-Identifier: GPL-2.0-only
"""Kernels that get into trouble: found on the console, decoded, judged; debugged while they run, and by a dump."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from e2e_lab import Done, RealHost, call

pytestmark = pytest.mark.long

DATA = Path(__file__).parent / "data"
TROUBLE = DATA / "planted-trouble.yaml"
PATCH = DATA / "patches/planted-trouble.patch"
SOURCE = "kernel/lab_planted.c"
#: What lab_planted_writes is while nothing was written.
UNTOUCHED = 0x1ABF00D0
BUILD_TIMEOUT_S = 3600


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    """The kernel, before anything is timed."""
    done = call("kernel", "build", TROUBLE, timeout_s=BUILD_TIMEOUT_S)
    assert done.status == 0, done.err


def run_with(tmp_path: Path, word: str, more: str = "") -> tuple[Done, Path]:
    """A run in which `word` is written to debugfs/lab_planted."""
    text = (DATA / "findings.yaml").read_text().replace("echo warning", f"echo {word}")
    topology = tmp_path / f"{word}.yaml"
    topology.write_text(text.replace("[patches/", f"[{DATA}/patches/") + more)
    recording = tmp_path / f"r-{word}"
    return call("run", topology, "--record", recording), recording


def findings_of(recording: Path) -> list[dict[str, Any]]:
    """What `lab check` says was found."""
    return list(json.loads(call("check", recording, "--json").out)["findings"])


def line_of(text: str) -> int:
    """The number of a line of the planted source."""
    added = PATCH.read_text().partition("+++ b/kernel/lab_planted.c\n")[2].splitlines()[1:]
    return 1 + next(number for number, line in enumerate(added) if text in line)


def test_a_kernel_that_dies_is_a_verdict_with_the_line_that_did_it(tmp_path: Path) -> None:
    """An oops: these kernels panic of it."""
    culprit = f"{SOURCE}:{line_of('*nowhere = 1;')}"
    done, recording = run_with(tmp_path, "oops")
    assert done.status == 1, done.out + done.err
    assert "running again" not in done.err
    assert "lab_planted_oops" in done.out
    (finding,) = findings_of(recording)
    assert (finding["kind"], finding["node"], finding["outcome"]) == ("oops", "guest", "failed")
    assert finding["place"].startswith("lab_planted_oops")
    assert finding["panic"] == "Fatal exception"
    assert finding["process"] == "sh"
    assert finding["time_s"] > 0
    assert finding["decoded"][finding["place"]].startswith(culprit)

    decoded = call("decode", recording, "guest")
    assert decoded.status == 0, decoded.err
    assert f"{finding['place']} ({culprit}" in decoded.out
    assert "lab_planted_oops" in call("report", recording, "--text").out


def test_a_panic_is_a_verdict_and_not_a_loss(tmp_path: Path) -> None:
    """Without CONFIG_DEBUG_BUGVERBOSE panic() itself tells no more than its reason (kernel/panic.c)."""
    done, recording = run_with(tmp_path, "panic")
    assert done.status == 1, done.out + done.err
    assert "running again" not in done.err
    (finding,) = findings_of(recording)
    assert (finding["kind"], finding["outcome"]) == ("panic", "failed")
    assert finding["text"] == "Kernel panic - not syncing: planted panic"


def test_a_warning_fails_a_run_unless_it_is_allowed(tmp_path: Path) -> None:
    done, recording = run_with(tmp_path, "warning")
    assert done.status == 1, done.out + done.err
    (finding,) = findings_of(recording)
    assert finding["message"].startswith("planted warning number")
    assert finding["decoded"][finding["place"]].startswith(f"{SOURCE}:{line_of('WARN(1')}")

    allowed = tmp_path / "allowed"
    allowed.mkdir()
    done, recording = run_with(
        allowed, "warning", "allow_findings: [{kind: warning, pattern: planted warning}]\n"
    )
    assert done.status == 0, done.out + done.err
    assert [one["outcome"] for one in findings_of(recording)] == ["passed"]


@pytest.mark.parametrize(
    ("word", "kind", "parameter"),
    [
        ("lockup", "soft-lockup", "/proc/sys/kernel/watchdog_thresh"),
        ("sleep", "hung-task", "/proc/sys/kernel/hung_task_timeout_secs"),
    ],
)
def test_a_kernel_that_stands_still_is_found(tmp_path: Path, word: str, kind: str, parameter: str) -> None:
    knobs = f"knobs: [{{knob: {parameter}, value: 1}}]\n"
    done, recording = run_with(tmp_path, word, knobs)
    assert done.status == 1, done.out + done.err
    found = [one for one in findings_of(recording) if one["kind"] == kind]
    assert {one["process"] for one in found} == {"sh"}
    if kind == "soft-lockup":  # the trace of a hung task is not important enough for the console (KERN_INFO)
        assert f"lab_planted_{word}" in done.out


def test_a_debugger_attaches_and_opens_a_dump(tmp_path: Path, real_host: RealHost) -> None:
    up = call("up", TROUBLE, "--gdb", "guest")
    assert up.status == 0, up.err
    try:
        attach = shlex.split(up.out.splitlines()[-1])
        assert attach[0] == "gdb"
        assert value_by_gdb(attach) == UNTOUCHED
        assert call("exec", "guest", "--", "true").status == 0

        dump = tmp_path / "guest.core"
        done = call("dump", "guest", "-o", dump)
        assert done.status == 0, done.err
        assert call("exec", "guest", "--", "true").status == 0
        assert value_by_gdb(shlex.split(done.out.splitlines()[-1])) == UNTOUCHED
        assert call("dump", "guest", "-o", dump).status == 2
    finally:
        down = call("down")
    assert down.status == 0, down.err


def value_by_gdb(words: list[str]) -> int:
    """What a gdb started by these words says lab_planted_writes is, of a machine with two vCPUs."""
    looks = ["-ex", "info threads", "-ex", 'printf "value %lu\\n", lab_planted_writes']
    done = subprocess.run(
        [words[0], "-nx", "-batch", *words[1:], *looks],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    values = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("value ")]
    assert len(values) == 1, done.stdout + done.stderr
    vcpus = re.findall(r"^[* ] +\d+ +(?:Thread|LWP) ", done.stdout, re.MULTILINE)
    assert len(vcpus) == 2, done.stdout
    return int(values[0])
