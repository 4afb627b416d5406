# SPDX-License-Identifier: GPL-2.0-only
"""How commands end: exit codes, messages, interrupts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli.driving import LAB, ROOT, Driver, call, wiring_that_fails

from lab.cli.interrupts import Interrupts
from lab.errors import BootTimeout, ExitCode, HostError, LabFailure, LeaseTaken, PatchRejected

QUICKSTART = ROOT / "topologies/quickstart.yaml"
SLOW_LAB = Path(__file__).parent / "slow_lab.py"
VERBS = [
    *(("doctor",), ("plan",), ("schema",), ("prepare",), ("run",), ("check",), ("up",), ("status",)),
    *(("ssh",), ("exec",), ("down",), ("gc",)),
    *(("knob",), ("knob", "get"), ("knob", "set"), ("knob", "list"), ("load",), ("load", "start")),
    *(("knob", "probe"), ("knob", "watch"), ("knob", "restore"), ("knob", "explain"), ("govern",)),
    *(("load", "stop"), ("kernel",), ("kernel", "build"), ("kernel", "list"), ("image",), ("image", "build")),
    *(("image", "list"), ("host",), ("host", "up"), ("host", "down"), ("host", "status"), ()),
]


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_every_verb_has_help(lab: Driver, verb: tuple[str, ...]) -> None:
    done = lab(*verb, "--help")
    assert done.code == ExitCode.PASSED
    assert done.out.startswith(f"Usage: {' '.join(('lab', *verb))} ")
    assert lab(*verb, "-h").out == done.out


def test_summaries_are_whole_in_80_columns(lab: Driver) -> None:
    assert "..." not in lab("--help").out.split("Commands:")[1]


@pytest.mark.parametrize("args", [("frob",), ("plan",), ("plan", "--frob"), ("image", "build", "desk")])
def test_wrong_usage_is_bad_input(lab: Driver, args: tuple[str, ...]) -> None:
    done = lab(*args)
    assert done.code == ExitCode.BAD_INPUT
    assert "Usage: " in done.err


def test_an_unfit_host_is_told_with_its_hint(lab: Driver) -> None:
    lab.wiring = wiring_that_fails(HostError("libvirt at qemu:///system: cannot be reached", "`lab doctor`"))
    done = lab("up", QUICKSTART, "--host", "local")
    assert done.code == ExitCode.HOST_UNFIT
    assert done.err == "lab: error: libvirt at qemu:///system: cannot be reached\nlab: hint: `lab doctor`\n"


def test_a_host_that_nobody_answers_for_is_unfit(tmp_path: Path) -> None:
    env = {"LAB_STATE_DIR": str(tmp_path / "state"), "LAB_CACHE_DIR": str(tmp_path / "cache")}
    done = call("up", QUICKSTART, "--host", "ssh://nobody@127.0.0.1:1", env=env, timeout_s=120)
    assert done.code == ExitCode.HOST_UNFIT
    assert "lab: error: ssh://nobody@127.0.0.1:1: " in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("error", [LabFailure("it"), PatchRejected("it"), LeaseTaken("it")])
def test_a_failing_lab_is_told_from_bad_input(lab: Driver, error: LabFailure) -> None:
    lab.wiring = wiring_that_fails(error)
    done = lab("up", QUICKSTART, "--host", "local")
    assert (done.code, done.err) == (ExitCode.LAB_FAILED, "lab: error: it\n")
    assert lab.wiring.calls == 1


def test_an_environment_that_is_lost_is_tried_a_bounded_number_of_times(lab: Driver) -> None:
    lab.wiring = wiring_that_fails(BootTimeout("guest one: its probe did not speak\nPanic!"))
    done = lab("up", QUICKSTART, "--host", "local")
    assert done.code == ExitCode.LAB_FAILED
    assert lab.wiring.calls == 3
    assert done.err.count("guest one: its probe did not speak: trying again") == 2
    assert done.err.endswith("lab: error: guest one: its probe did not speak\nPanic!\n")


def test_texts_are_printed_as_they_are(lab: Driver) -> None:
    lab.wiring = wiring_that_fails(HostError("[bold]CPU[/] [0-3] {x} %s"))
    assert "lab: error: [bold]CPU[/] [0-3] {x} %s\n" in lab("up", QUICKSTART, "--host", "local").err


def test_a_bug_leaves_its_traceback_in_a_file(lab: Driver) -> None:
    lab.wiring = wiring_that_fails(KeyError("surprise"))
    done = lab("up", QUICKSTART, "--host", "local")
    assert done.code == ExitCode.LAB_FAILED
    assert "Traceback" not in done.err
    (file,) = (lab.state_dir / "tracebacks").iterdir()
    assert done.err == f"lab: internal error: 'surprise' (traceback in {file})\n"
    assert "KeyError: 'surprise'" in file.read_text()


def test_a_reader_that_goes_away_is_no_error() -> None:
    done = subprocess.run(
        ["/bin/bash", "-c", '"$0" plan "$1" --json | true; exit ${PIPESTATUS[0]}', LAB, QUICKSTART],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 128 + signal.SIGPIPE


def test_recordings_are_never_overwritten(lab: Driver, tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r/precious").write_text("")
    done = lab("run", QUICKSTART, "--record", tmp_path / "r", "--host", "local")
    assert done.code == ExitCode.BAD_INPUT
    assert "never overwritten" in done.err


def test_a_recording_without_a_name_gets_a_fresh_directory(lab: Driver) -> None:
    lab.wiring = wiring_that_fails(HostError("no"))
    for _ in range(2):
        lab("run", QUICKSTART, "--host", "local")
    (lab.state_dir / "recordings").mkdir(exist_ok=True)
    made = list((lab.state_dir / "recordings").iterdir())
    assert made
    assert all(path.name.startswith("quickstart-") for path in made)


# interrupts


def _start_slow(tmp_path: Path) -> subprocess.Popen[str]:
    env = {**os.environ, "LAB_STATE_DIR": str(tmp_path / "state"), "LAB_CACHE_DIR": str(tmp_path / "cache")}
    child = subprocess.Popen(
        [sys.executable, SLOW_LAB, tmp_path, QUICKSTART],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    _wait_for(tmp_path / "opened", child)
    return child


def _wait_for(path: Path, child: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < deadline, f"{path.name} did not appear"
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda one: one.name)
def test_an_interrupt_ends_the_command_in_order(tmp_path: Path, number: signal.Signals) -> None:
    child = _start_slow(tmp_path)
    child.send_signal(number)
    _wait_for(tmp_path / "ending", child)
    (tmp_path / "go-on").touch()
    out, err = child.communicate(timeout=30)
    assert child.returncode == ExitCode.INTERRUPTED
    assert (out, err) == ("", "lab: interrupted\n")
    assert (tmp_path / "closed").exists()


def test_a_second_interrupt_does_not_disturb_the_ending(tmp_path: Path) -> None:
    child = _start_slow(tmp_path)
    child.send_signal(signal.SIGINT)
    _wait_for(tmp_path / "ending", child)
    child.send_signal(signal.SIGINT)
    child.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    (tmp_path / "go-on").touch()
    _out, err = child.communicate(timeout=30)
    assert child.returncode == ExitCode.INTERRUPTED
    assert "still ending what was started" in err
    assert err.endswith("lab: interrupted\n")
    assert (tmp_path / "closed").exists()


def _interrupts(told: list[str]) -> Interrupts:
    return Interrupts(told.append)


def test_an_interrupt_while_held_is_raised_at_the_end() -> None:
    told: list[str] = []
    interrupts = _interrupts(told)
    reached = []
    with pytest.raises(KeyboardInterrupt), interrupts.held():
        interrupts._handle(signal.SIGINT, None)
        reached.append("the end")
    assert reached == ["the end"]
    assert len(told) == 1


def test_an_error_while_held_is_not_hidden_by_an_interrupt() -> None:
    interrupts = _interrupts([])
    with pytest.raises(LabFailure), interrupts.held():
        interrupts._handle(signal.SIGINT, None)
        raise LabFailure("it")


def test_only_the_first_interrupt_is_raised() -> None:
    told: list[str] = []
    interrupts = _interrupts(told)
    with pytest.raises(KeyboardInterrupt):
        interrupts._handle(signal.SIGINT, None)
    interrupts._handle(signal.SIGINT, None)
    with interrupts.held():
        interrupts._handle(signal.SIGTERM, None)
    assert len(told) == 2
