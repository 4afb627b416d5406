# SPDX-License-Identifier: GPL-2.0-only
"""pvtrace on this machine's own tracefs: what it records, that it loses nothing, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from probing import wait_until

from lab.trace.about import About, parse_about
from lab.trace.fields import read_numbers
from lab.trace.formats import Formats, parse_formats
from lab.trace.ringbuffer import Buffer, read_buffer

TRACEFS = Path("/sys/kernel/tracing")
INSTANCES = TRACEFS / "instances"
SCHED = ("sched:sched_switch", "sched:sched_wakeup", "sched:sched_wakeup_new")
#: With the record's header and its fields, a mark takes 56 bytes: so many of them fill a page.
MARK = "m" * 30 + "\n"
MARKS_A_PAGE = 72
PAGE = 4096


@dataclass
class Window:
    """A pvtrace with its standard input open, and what it left when it has ended."""

    process: subprocess.Popen[str]
    directory: Path

    @property
    def instance(self) -> Path:
        return INSTANCES / f"lab-{self.directory.name}-{self.process.pid}"

    @property
    def about(self) -> About:
        return parse_about((self.directory / "about").read_bytes())

    @property
    def formats(self) -> Formats:
        return parse_formats((self.directory / "formats").read_bytes())

    def ready(self) -> int:
        assert self.process.stdout is not None
        word, moment_ns = self.process.stdout.readline().split()
        assert word == "ready"
        return int(moment_ns)

    def mark(self, count: int) -> None:
        with (self.instance / "trace_marker").open("w", buffering=1) as marker:
            for _ in range(count):
                marker.write(MARK)

    def end(self, status: int = 0) -> str:
        """Ends it by its standard input. What it said on standard error."""
        said, complaint = self.process.communicate(timeout=60)
        assert self.process.returncode == status, complaint
        assert status or said == "done\n"
        assert not self.instance.exists()
        return complaint

    def buffers(self) -> dict[int, Buffer]:
        header = self.formats.header
        raw = {cpu: (self.directory / f"cpu{cpu}.raw").read_bytes() for cpu in self.about.cpus}
        return {cpu: read_buffer(data, header, PAGE) for cpu, data in raw.items()}

    def values(self, event: str, field: str) -> list[int]:
        """That field of all records of `event`."""
        known = self.formats.by_name(event)
        assert known is not None
        found: list[int] = []
        for buffer in self.buffers().values():
            kinds = read_numbers(buffer.words, buffer.records, known.fields["common_type"])
            records = buffer.records.where(kinds == known.number)
            found += read_numbers(buffer.words, records, known.fields[field]).tolist()
        return found


class Tracer:
    """Starts pvtrace; what still runs or was left is ended with the test."""

    def __init__(self, program: Path, directory: Path) -> None:
        self.program, self._directory = program, directory
        self.windows: list[Window] = []

    def start(self, name: str, *words: str, clock: str = "mono", cpus: str | None = None) -> Window:
        online = Path("/sys/devices/system/cpu/online").read_text().strip()
        command = [self.program, self._directory / name, f"clock={clock}", f"cpus={cpus or online}", *words]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        self.windows.append(Window(process, self._directory / name))
        return self.windows[-1]

    def clean(self) -> str:
        done = subprocess.run([self.program, "clean"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def tracer(built: Path, tmp_path: Path) -> Iterator[Tracer]:
    if os.geteuid() != 0:
        pytest.skip("only root may make an instance in tracefs")
    if not INSTANCES.is_dir():
        pytest.skip(f"this machine has no tracefs at {TRACEFS}")
    made = Tracer(built / "pvtrace", tmp_path)
    yield made
    for window in made.windows:
        window.process.kill()
        window.process.communicate()
        if window.instance.exists():
            window.instance.rmdir()


@pytest.fixture
def pacer() -> Iterator[subprocess.Popen[bytes]]:
    """A process that sleeps for 2 ms again and again."""
    code = "import time\nprint(flush=True)\nwhile True: time.sleep(0.002)"
    process = subprocess.Popen(["python3", "-S", "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


def test_threads_that_are_named_are_recorded_and_no_others(
    tracer: Tracer, pacer: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    (tmp_path / "pids").write_text(f"{pacer.pid}\n")
    window = tracer.start("sched", f"pids={tmp_path / 'pids'}", *SCHED)
    window.ready()
    time.sleep(0.5)
    assert window.end() == ""
    switches = zip(window.values(SCHED[0], "prev_pid"), window.values(SCHED[0], "next_pid"), strict=True)
    assert all(pacer.pid in pair for pair in switches)
    assert window.values(SCHED[0], "next_pid").count(pacer.pid) > 5
    assert window.values(SCHED[1], "pid").count(pacer.pid) > 5


def test_what_they_fork_comes_along(tracer: Tracer, tmp_path: Path) -> None:
    shell = subprocess.Popen(
        ["sh", "-c", "read go; sleep 0.01 & echo $!; wait"], stdin=-1, stdout=-1, text=True
    )
    (tmp_path / "pids").write_text(f"{shell.pid}\n")
    window = tracer.start("forks", f"pids={tmp_path / 'pids'}", *SCHED)
    window.ready()
    child = int(shell.communicate("go\n", timeout=30)[0])
    window.end()
    assert child in window.values(SCHED[0], "next_pid")


def test_nothing_is_lost_between_the_kernel_and_the_files(tracer: Tracer) -> None:
    window = tracer.start("marks", "buffer_kib=4096", "ftrace:print")
    window.ready()
    window.mark(30_000)
    window.end()
    buffers, counts = window.buffers(), window.about.counts
    assert not any(buffer.faults for buffer in buffers.values())
    assert sum(len(buffer.records) for buffer in buffers.values()) == 30_000
    for cpu, buffer in buffers.items():
        size = (window.directory / f"cpu{cpu}.raw").stat().st_size
        assert (counts[cpu].entries, counts[cpu].lost, counts[cpu].unwritten) == (len(buffer.records), 0, 0)
        assert counts[cpu].bytes == size and size % PAGE == 0
        assert size <= PAGE * (len(buffer.records) // MARKS_A_PAGE + 5), "pages are taken that are not full"


def test_what_the_kernel_overwrites_is_counted(tracer: Tracer) -> None:
    """Stopped, it takes nothing out of a buffer that is far too small."""
    window = tracer.start("small", "buffer_kib=64", "ftrace:print")
    window.ready()
    window.process.send_signal(signal.SIGSTOP)
    window.mark(20_000)
    window.process.send_signal(signal.SIGCONT)
    window.end()
    counts, buffers = window.about.counts, window.buffers()
    assert sum(one.entries + one.lost for one in counts.values()) == 20_000
    assert sum(one.overrun for one in counts.values()) > 10_000
    assert {cpu: one.entries for cpu, one in counts.items()} == {
        cpu: len(buffer.records) for cpu, buffer in buffers.items()
    }


def test_beyond_its_limit_it_takes_and_does_not_write(tracer: Tracer) -> None:
    window = tracer.start("limit", "limit_mib=1", "ftrace:print")
    window.ready()
    window.mark(40_000)
    assert "bytes were recorded and not written" in window.end()
    counts = window.about.counts.values()
    assert sum(one.entries for one in counts) == 40_000 and not any(one.lost for one in counts)
    written = sum(one.bytes or 0 for one in counts)
    assert written == sum(path.stat().st_size for path in window.directory.glob("*.raw")) <= 1 << 20
    assert sum(one.unwritten for one in counts) + written >= 40_000 * 56


def test_a_full_disk_costs_whole_pages_and_is_told(tracer: Tracer, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", small], check=True)
    try:
        window = tracer.start("small/window", "ftrace:print")
        window.ready()
        window.mark(20_000)
        process = window.process
        _, complaint = process.communicate(timeout=60)
        sizes = [path.stat().st_size for path in window.directory.glob("*.raw")]
        assert not window.instance.exists()
    finally:
        subprocess.run(["umount", small], check=True)
    assert process.returncode == 1 and "No space left on device" in complaint
    assert 0 < sum(sizes) <= 256 << 10 and not any(size % PAGE for size in sizes)


@pytest.mark.parametrize("clock", ["mono", "x86-tsc", "mono_raw", "boot"])
def test_pairs_lead_from_the_clock_to_monotonic_time(tracer: Tracer, clock: str) -> None:
    if clock == "x86-tsc" and os.uname().machine != "x86_64":
        pytest.skip("x86_64 alone has a time stamp counter")
    before_ns = time.monotonic_ns()
    window = tracer.start(f"pairs-{clock}", "ftrace:print", clock=clock)
    ready_ns = window.ready()
    time.sleep(1.3)
    window.mark(1)
    marked_ns = time.monotonic_ns()
    window.end()
    pairs = window.about.pairs
    assert len(pairs) >= 11
    mono = np.array([pair.mono_ns for pair in pairs])
    assert before_ns < mono[0] and mono[4] < ready_ns < mono[5] and (np.diff(mono) > 0).all()
    span_ns, ticks = pairs[-1].mono_ns - pairs[0].mono_ns, pairs[-1].raw - pairs[0].raw
    for pair in pairs:
        at_ns = pairs[0].mono_ns + (pair.raw - pairs[0].raw) * span_ns / ticks
        slack_ns = 0 if clock == "mono" else 2000  # clocks are steered meanwhile
        assert abs(at_ns - pair.mono_ns) <= pair.error_ns + pairs[0].error_ns + pairs[-1].error_ns + slack_ns
    (raw,) = [raw for buffer in window.buffers().values() for raw in buffer.records.raw.tolist()]
    at_ns = pairs[0].mono_ns + (raw - pairs[0].raw) * span_ns / ticks
    assert pairs[5].mono_ns - 1000 < at_ns <= marked_ns + 10_000


def test_files_say_what_was_recorded(tracer: Tracer) -> None:
    window = tracer.start("words", "sched:sched_switch", "nothing:of_that_name", "ftrace:print", cpus="0")
    window.ready()
    window.end()
    about = window.about
    assert about.damage == () and window.formats.damage == ()
    assert (about.clock, about.kernel, about.page_size, about.cpus) == (
        "mono",
        os.uname().release,
        PAGE,
        (0,),
    )
    assert about.events == {"sched:sched_switch": True, "nothing:of_that_name": False, "ftrace:print": True}
    assert {event.name for event in window.formats.events.values()} == {"sched:sched_switch", "ftrace:print"}
    assert window.formats.names
    assert about.cost_ns is not None and 0 < about.cost_ns < 5_000_000_000
    assert {path.name for path in window.directory.iterdir()} == {"about", "formats", "cpu0.raw"}


def test_two_at_once_do_not_see_each_other(tracer: Tracer) -> None:
    first, second = (
        tracer.start(f"{name}/window", "ftrace:print") for name in made_directories(tracer, "ab")
    )
    for window, count in ((first, 10), (second, 20)):
        window.ready()
        window.mark(count)
    first.end()
    second.mark(5)
    second.end()
    marks = [sum(len(buffer.records) for buffer in window.buffers().values()) for window in (first, second)]
    assert marks == [10, 25]


def made_directories(tracer: Tracer, names: str) -> Iterator[str]:
    for name in names:
        (tracer._directory / name).mkdir()
        yield name


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_end_it_as_its_input_does(tracer: Tracer, how: signal.Signals) -> None:
    window = tracer.start("told", "ftrace:print")
    window.ready()
    window.mark(100)
    window.process.send_signal(how)
    assert window.process.stdout is not None and window.process.stdout.read() == "done\n"
    assert window.process.wait(60) == 0 and not window.instance.exists()
    assert sum(one.entries for one in window.about.counts.values()) == 100


def test_no_moment_is_a_bad_one_to_be_told_to_end(tracer: Tracer) -> None:
    for number in range(25):
        window = tracer.start(f"moment{number}", "buffer_kib=64", *SCHED)
        time.sleep(number * 0.002)
        window.process.terminate()
        _, complaint = window.process.communicate(timeout=60)
        assert window.process.returncode in (0, -signal.SIGTERM), complaint
        assert not window.instance.exists()


def test_input_that_has_no_end_does_not_end_it(built: Path, tracer: Tracer, tmp_path: Path) -> None:
    with Path(os.devnull).open() as nothing:
        command = [tracer.program, tmp_path / "null", "clock=mono", "cpus=0", "ftrace:print"]
        process = subprocess.Popen(command, stdin=nothing, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None and process.stdout.readline().startswith("ready ")
    time.sleep(0.3)
    assert process.poll() is None
    process.terminate()
    assert process.communicate(timeout=60)[0] == "done\n" and process.returncode == 0


def test_what_a_killed_one_leaves_is_removed_and_what_a_living_one_has_is_not(tracer: Tracer) -> None:
    killed, living = tracer.start("killed", *SCHED), tracer.start("living", "ftrace:print")
    for window in (killed, living):
        window.ready()
    killed.process.kill()
    killed.process.communicate()
    assert killed.instance.exists()
    assert f"removed {killed.instance.name}\n" in tracer.clean()
    assert not killed.instance.exists() and living.instance.exists()
    living.mark(3)
    living.end()
    assert sum(one.entries for one in living.about.counts.values()) == 3
    assert not killed.about.complete and len(killed.about.pairs) >= 5


def test_who_looks_into_its_instance_is_waited_for(tracer: Tracer) -> None:
    window = tracer.start("looked", "ftrace:print")
    window.ready()
    with (window.instance / "trace_marker").open("w"):
        window.process.terminate()
        wait_until("its last line", lambda: "cost_ns" in (window.directory / "about").read_text())
        assert window.instance.exists()
    window.process.wait(30)
    assert window.process.returncode == 0 and not window.instance.exists()


def test_a_kernel_without_the_file_system_mounted_is_helped(
    built: Path, tracer: Tracer, tmp_path: Path
) -> None:
    """In name spaces of its own, so that this machine's mounts stay."""
    line = 'umount -a -t tracefs; umount -l /sys/kernel/debug; exec "$0" "$1" clock=mono cpus=0 ftrace:print'
    command = ["unshare", "-m", "sh", "-c", line, built / "pvtrace", tmp_path / "private"]
    done = subprocess.run(command, input="", capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("done\n")
    assert not list(INSTANCES.glob("lab-private-*"))


def test_what_was_recorded_is_not_written_over(tracer: Tracer) -> None:
    first = tracer.start("once", "ftrace:print")
    first.ready()
    first.mark(10)
    first.end()
    before = {path.name: path.read_bytes() for path in first.directory.iterdir()}
    assert "about: File exists" in tracer.start("once", "ftrace:print").end(1)
    assert {path.name: path.read_bytes() for path in first.directory.iterdir()} == before


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["clock=mono", "cpus=0", "pids=/nowhere"], 1, "/nowhere: No such file or directory"),
        (["clock=mono", "cpus=900"], 1, "per_cpu/cpu900"),
        (["clock=local", "cpus=0"], 1, "clock=local: no clock that user space can read too"),
        (["cpus=0"], 2, "missing option clock=NAME"),
        (["clock=mono"], 2, "missing option cpus=CPULIST"),
        (["clock=mono", "cpus=3-1"], 2, "not a cpulist: 3-1"),
        (["clock=mono", "cpus=0", "buffer_kib=1"], 2, "buffer_kib=1"),
        (["clock=mono", "cpus=0", "limit_mib=-1"], 2, "limit_mib=-1"),
        (["clock=mono", "cpus=0", "sched_switch"], 2, "not a SYSTEM:EVENT: sched_switch"),
        (["clock=mono", "cpus=0", "../../x:y"], 2, "not a SYSTEM:EVENT"),
        (["clock=mono", "cpus=0", "speed=9"], 2, "unknown option speed=9"),
    ],
)
def test_what_cannot_be_done_is_refused(
    tracer: Tracer, tmp_path: Path, words: list[str], status: int, said: str
) -> None:
    command = [tracer.program, tmp_path / "refused", *words]
    done = subprocess.run(command, input="", capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (status, "")
    assert said in done.stderr
    assert not list(INSTANCES.glob("lab-refused-*")) and not (tmp_path / "refused/about").exists()


@pytest.mark.parametrize(
    ("pids", "said"), [("", "no thread in it"), ("12\nx7\n", "not a thread's number: x7")]
)
def test_a_list_of_threads_has_to_be_one(tracer: Tracer, tmp_path: Path, pids: str, said: str) -> None:
    (tmp_path / "pids").write_text(pids)
    assert said in tracer.start("listed", f"pids={tmp_path / 'pids'}", "ftrace:print").end(1)
