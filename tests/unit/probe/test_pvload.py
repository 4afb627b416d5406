# SPDX-License-Identifier: GPL-2.0-only
"""What starts loads: at a moment, with their output kept, and ended with everything that they started."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from probing import wait_until

from lab.measure.loadruns import RunStatus, parse_status

#: Nobody else sleeps for just so long.
SLEEP_S = 4_321.75


class Runs:
    """`pvload` with one directory; what it leaves behind is ended with the test."""

    def __init__(self, program: Path, directory: Path) -> None:
        self._program, self.directory = program, directory

    def __call__(self, verb: str, run: str, *words: str) -> subprocess.CompletedProcess[str]:
        command = [str(self._program), verb, "--dir", str(self.directory / run), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=30)

    def start(self, run: str, *command: str, options: tuple[str, ...] = ()) -> None:
        armed = self("arm", run, *options, "--", *command)
        assert armed.returncode == 0, armed.stderr
        assert self("release", run).returncode == 0

    def finish(self, run: str) -> RunStatus:
        assert self("wait", run, "--timeout", "20").returncode == 0
        return self.status(run)

    def status(self, run: str) -> RunStatus:
        return parse_status((self.directory / run / "status").read_bytes())

    def output(self, run: str) -> str:
        return (self.directory / run / "out").read_text()


@pytest.fixture
def runs(built: Path, tmp_path: Path) -> Iterator[Runs]:
    made = Runs(built / "pvload", tmp_path / "loads")
    yield made
    for pid in made.directory.glob("**/pid"):
        made("stop", str(pid.parent.relative_to(made.directory)), "--grace", "0")


def sleepers() -> list[int]:
    """Processes that sleep for SLEEP_S."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(SLEEP_S).encode() in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def test_output_and_status_are_there_when_it_has_ended(runs: Runs) -> None:
    runs.start("a/0", "sh", "-c", "echo out; echo err >&2; exit 3")
    status = runs.finish("a/0")
    assert runs.output("a/0") == "out\nerr\n"
    assert (status.status, status.stopped, status.written, status.lost) == (3, False, 8, 0)
    assert 0 < status.begin_ns <= status.end_ns <= time.monotonic_ns()


def test_nothing_runs_before_it_is_released(runs: Runs, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    assert runs("arm", "a/0", "--", "touch", str(mark)).returncode == 0
    time.sleep(0.2)
    assert not mark.exists()
    assert runs("wait", "a/0", "--timeout", "0.1").returncode == 1
    runs("release", "a/0")
    runs.finish("a/0")
    assert mark.exists()


def test_runs_begin_at_the_moment_they_are_told(runs: Runs) -> None:
    for number in range(3):
        assert runs("arm", f"a/{number}", "--", "true").returncode == 0
    at_ns = time.monotonic_ns() + 400_000_000
    for number in range(3):
        done = runs("release", f"a/{number}", "--at", str(at_ns))
        assert int(done.stdout.split()[1]) < at_ns
    begins = [runs.finish(f"a/{number}").begin_ns for number in range(3)]
    assert all(0 <= begin - at_ns < 200_000_000 for begin in begins)
    assert [runs.status(f"a/{number}").at_ns for number in range(3)] == [at_ns] * 3


def test_a_moment_that_has_passed_means_at_once(runs: Runs) -> None:
    assert runs("arm", "a/0", "--", "true").returncode == 0
    told_ns = time.monotonic_ns()
    runs("release", "a/0", "--at", "1")
    status = runs.finish("a/0")
    assert status.at_ns == 1 and status.begin_ns >= told_ns


def test_the_end_by_a_signal_is_told_as_shells_tell_it(runs: Runs) -> None:
    runs.start("a/0", "sh", "-c", "kill -SEGV $$")
    assert runs.finish("a/0").status == 128 + signal.SIGSEGV


def test_stop_ends_what_left_the_group_and_the_session_and_its_parent(runs: Runs) -> None:
    script = (
        f"setsid sleep {SLEEP_S} & (setsid sh -c 'sleep {SLEEP_S} & sleep {SLEEP_S}' &) ; sleep {SLEEP_S}"
    )
    runs.start("a/0", "sh", "-c", script)
    wait_until("all to sleep", lambda: len(sleepers()) == 4)
    assert runs("stop", "a/0").returncode == 0
    assert sleepers() == []
    status = runs.status("a/0")
    assert status.stopped and status.status == 128 + signal.SIGTERM


def test_what_ignores_the_request_is_killed_after_the_grace(runs: Runs) -> None:
    runs.start("a/0", "sh", "-c", f"trap '' TERM; echo ready; while :; do sleep {SLEEP_S}; done")
    wait_until("the trap", lambda: runs.output("a/0") == "ready\n")
    began = time.monotonic()
    assert runs("stop", "a/0", "--grace", "1").returncode == 0
    assert 0.9 < time.monotonic() - began < 10
    assert runs.status("a/0").status == 128 + signal.SIGKILL and sleepers() == []


def test_what_it_says_while_it_is_stopped_is_kept(runs: Runs) -> None:
    runs.start("a/0", "sh", "-c", "trap 'echo figures; exit 0' TERM; echo ready; while :; do :; done")
    wait_until("the trap", lambda: runs.output("a/0") == "ready\n")
    runs("stop", "a/0")
    assert runs.output("a/0") == "ready\nfigures\n"
    assert (runs.status("a/0").status, runs.status("a/0").stopped) == (0, True)


def test_what_the_command_left_behind_ends_with_it(runs: Runs) -> None:
    runs.start("a/0", "sh", "-c", f"setsid sleep {SLEEP_S} & exit 0")
    status = runs.finish("a/0")
    assert (status.status, status.stopped) == (0, False)
    assert sleepers() == []


def test_one_that_is_armed_only_can_be_stopped(runs: Runs) -> None:
    assert runs("arm", "a/0", "--", "sleep", str(SLEEP_S)).returncode == 0
    assert runs("stop", "a/0").returncode == 0
    assert runs.status("a/0").begin_ns == 0 and sleepers() == []


def test_stopping_what_has_ended_changes_nothing(runs: Runs) -> None:
    runs.start("a/0", "true")
    before = runs.finish("a/0")
    assert runs("stop", "a/0").returncode == 0 and runs.status("a/0") == before


def test_of_much_output_the_beginning_and_the_end_are_kept(runs: Runs) -> None:
    runs.start("a/0", "seq", "100000", options=("--limit", "1000"))
    status, kept = runs.finish("a/0"), runs.output("a/0")
    assert status.written == 588_895 and status.lost == status.written - 1000
    assert kept.startswith("1\n2\n3\n") and kept.endswith("\n99999\n100000\n")
    assert f"\n[pvload: {status.lost} bytes are left out]\n" in kept and len(kept) < 1100


def test_output_that_just_fits_is_whole(runs: Runs) -> None:
    runs.start("a/0", "seq", "100", options=("--limit", "292"))
    assert runs.finish("a/0").lost == 0
    assert runs.output("a/0") == "".join(f"{number}\n" for number in range(1, 101))


def test_the_time_of_all_processes_counts(runs: Runs) -> None:
    busy = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"
    runs.start("a/0", "sh", "-c", f"({busy}) & ({busy}); wait")
    assert runs.finish("a/0").user_ns > 20_000_000


def test_affinity_is_the_commands_own(runs: Runs) -> None:
    script = "grep Cpus_allowed_list /proc/self/status"
    runs.start("a/0", "sh", "-c", script, options=("--vcpus", "0"))
    runs.finish("a/0")
    assert runs.output("a/0").split()[-1] == "0"


def test_no_signal_is_blocked_and_no_file_left_open_in_the_command(runs: Runs) -> None:
    runs.start("a/0", "sh", "-c", "grep SigBlk /proc/self/status; ls /proc/$$/fd | wc -l; cat")
    assert runs.finish("a/0").status == 0
    blocked, files = runs.output("a/0").splitlines()
    assert int(blocked.split()[1], 16) == 0 and int(files) == 3


def test_arm_leaves_no_process_that_holds_its_callers_output(runs: Runs) -> None:
    """An ssh session ends only when nobody holds its pipes."""
    began = time.monotonic()
    assert runs("arm", "a/0", "--", "sleep", str(SLEEP_S)).returncode == 0
    runs("release", "a/0")
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("arm", "a/0", "--", "no-such-program"), 3, "no-such-program: no such program here"),
        (("arm", "a/0", "--", "/etc"), 3, "/etc: no such program here"),
        (("arm", "a/0"), 2, "no command"),
        (("arm", "a/0", "--vcpus", "1-0", "--", "true"), 2, "not a cpulist: 1-0"),
        (("arm", "a/0", "--color", "red", "--", "true"), 2, "unknown option --color"),
        (("release", "a/0"), 1, "trigger"),
        (("release", "a/0", "--at", "soon"), 2, "not a number for --at"),
        (("wait", "a/0", "--timeout", "-1"), 2, "not a number of seconds"),
        (("wait", "a/0", "--timeout", "1"), 4, "nothing runs"),
        (("stop", "a/0"), 1, "no such load was armed"),
        (("dance", "a/0"), 2, "unknown command dance"),
    ],
)
def test_a_wrong_request_is_refused(runs: Runs, words: tuple[str, ...], status: int, message: str) -> None:
    done = runs(*words)
    assert done.returncode == status and message in done.stderr


def test_a_directory_is_for_one_run(runs: Runs) -> None:
    runs.start("a/0", "true")
    runs.finish("a/0")
    again = runs("arm", "a/0", "--", "true")
    assert again.returncode == 1 and "File exists" in again.stderr


def test_a_supervisor_that_was_killed_is_an_error(runs: Runs) -> None:
    runs.start("a/0", "sleep", str(SLEEP_S))
    os.kill(int((runs.directory / "a/0/pid").read_text()), signal.SIGKILL)
    wait_until("its end", lambda: runs("wait", "a/0", "--timeout", "5").returncode == 4)
    for pid in sleepers():
        os.kill(pid, signal.SIGKILL)
