# SPDX-License-Identifier: GPL-2.0-only
"""The scripts that start and stop recorders, and tell whose threads are whose, on this machine's own shell."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab.adapters.local_shell import LocalShell
from lab.errors import LabFailure
from lab.measure.tracefiles import parse_threads
from lab.run.tracectl import Recorder, start_recorder, stop_recorder, write_threads

SHELL = LocalShell()


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    program = tmp_path / "pvtrace"
    shutil.copyfile(Path(__file__).with_name("fake_pvtrace.sh"), program)
    program.chmod(0o755)
    yield Recorder(
        str(program), str(tmp_path / "a window"), "mono", 64, 3, (0, 1), ("sched:sched_switch",), "p"
    )
    for file in tmp_path.glob("*/pid"):
        if is_recorder(file):
            os.kill(int(file.read_text()), 9)


def is_recorder(pid_file: Path) -> bool:
    """Whether it runs; who has ended may wait for somebody to ask for that."""
    stat = Path(f"/proc/{pid_file.read_text().strip()}/stat")
    return stat.exists() and " (pvtrace) " in stat.read_text() and " (pvtrace) Z" not in stat.read_text()


def of(recorder: Recorder, name: str) -> Recorder:
    """The same in another directory."""
    return replace(recorder, directory=str(Path(recorder.directory).with_name(name)))


def test_a_recorder_records_when_it_was_started_and_not_any_more_when_it_was_stopped(
    recorder: Recorder,
) -> None:
    start_recorder(SHELL, recorder, "here")
    assert is_recorder(Path(recorder.pid_file))
    words = (Path(recorder.directory) / "words").read_text().strip()
    assert words == (
        f"{recorder.directory} clock=mono buffer_kib=64 limit_mib=3 cpus=0-1 pids=p sched:sched_switch"
    )
    said = stop_recorder(SHELL, recorder.directory, "here")
    assert said == "tracing here: pvtrace: 7 bytes were recorded and not written"
    assert not is_recorder(Path(recorder.pid_file))


def test_one_that_cannot_start_says_why(recorder: Recorder) -> None:
    with pytest.raises(LabFailure, match="tracing here: pvtrace: tracefs: No such device"):
        start_recorder(SHELL, of(recorder, "refused"), "here")


def test_a_program_that_is_not_there_is_told(recorder: Recorder) -> None:
    with pytest.raises(LabFailure, match=r"tracing here: .*not found"):
        start_recorder(SHELL, replace(recorder, program="/nowhere/pvtrace"), "here")


def test_a_kernel_without_the_event_is_refused_and_nothing_goes_on(recorder: Recorder) -> None:
    absent = of(recorder, "absent")
    with pytest.raises(LabFailure, match="has no tracepoint sched:sched_switch"):
        start_recorder(SHELL, absent, "here")
    deadline_s = time.monotonic() + 20
    while is_recorder(Path(absent.pid_file)):
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def test_what_an_attempt_before_left_is_in_nobodys_way(recorder: Recorder) -> None:
    Path(recorder.directory).mkdir()
    (Path(recorder.directory) / "about").write_text("old")
    start_recorder(SHELL, recorder, "here")
    stop_recorder(SHELL, recorder.directory, "here")


def test_one_that_was_killed_or_cannot_write_is_a_failure(recorder: Recorder) -> None:
    start_recorder(SHELL, recorder, "here")
    os.kill(int(Path(recorder.pid_file).read_text()), 9)
    with pytest.raises(LabFailure, match="did not end as it should: it said nothing"):
        stop_recorder(SHELL, recorder.directory, "here")
    stubborn = of(recorder, "stubborn")
    start_recorder(SHELL, stubborn, "here")
    with pytest.raises(LabFailure, match="did not end as it should: pvtrace: it is full"):
        stop_recorder(SHELL, stubborn.directory, "here")


def test_a_number_that_is_somebody_elses_by_now_is_left_alone(recorder: Recorder) -> None:
    Path(recorder.directory).mkdir()
    (Path(recorder.directory) / "said").write_text("ready 5\ndone\n")
    with subprocess.Popen(["sleep", "60"]) as other:
        Path(recorder.pid_file).write_text(f"{other.pid}\n")
        stop_recorder(SHELL, recorder.directory, "here")
        assert other.poll() is None
        other.kill()


def test_a_directory_without_a_recorder_is_left_alone(tmp_path: Path) -> None:
    assert stop_recorder(SHELL, f"{tmp_path}/nothing", "here") == ""


def test_threads_are_told_with_whose_they_are(tmp_path: Path) -> None:
    (tmp_path / "mine.pid").write_text(f"{os.getpid()}\n")
    pids = write_threads(
        SHELL,
        str(tmp_path / "window"),
        [
            ("guest", "guest1", str(tmp_path / "mine.pid")),
            ("guest", "guest2", str(tmp_path / "none.pid")),
            ("hog", "noisy", str(tmp_path / "mine.pid")),
        ],
    )
    tids = {int(path.name) for path in Path("/proc/self/task").iterdir()}
    threads = parse_threads((tmp_path / "window/threads").read_bytes())
    assert os.getpid() in threads and threads.keys() <= tids | threads.keys()
    assert {thread.owner for thread in threads.values()} == {"noisy"}, "the last word on each counts"
    assert set(map(int, Path(pids).read_text().split())) == threads.keys()
    assert (tmp_path / "window/offsets").read_text() == ""


@pytest.mark.parametrize(
    ("kind", "name", "role"),
    [
        ("guest", "CPU 3/KVM", "vcpu 3"),
        ("guest", "CPU 12/TCG", "vcpu 12"),
        ("guest", "IO mon_iothread", "iothread"),
        ("guest", "qemu-system-x86", "emulator"),
        ("guest", "worker", "emulator"),
        ("guest", "kvm-nx-lpage-re", "emulator"),
        ("hog", "noisy/1", "thread 1"),
        ("hog", "pvspin", "main"),
    ],
)
def test_roles_are_told_by_the_names_of_threads(tmp_path: Path, kind: str, name: str, role: str) -> None:
    """A process that calls itself so stands for the thread."""
    wait = "import ctypes, sys; ctypes.CDLL(None).prctl(15, sys.argv[1].encode()); print(flush=True); input()"
    with subprocess.Popen(
        ["python3", "-c", wait, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        (tmp_path / "pid").write_text(f"{process.pid}\n")
        write_threads(SHELL, str(tmp_path), [(kind, "whose", str(tmp_path / "pid"))])
        process.kill()
    assert (tmp_path / "threads").read_text() == f"{process.pid} whose {role}\n"
