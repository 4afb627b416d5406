# SPDX-License-Identifier: GPL-2.0-only
"""The probe inside a guest: a FIFO stands in for the virtio-serial port."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from probing import wait_until

from lab.measure.probestream import ProbeStream, parse_stream

#: Bytes that a small pipe and the smallest ring hold: under half a second of samples at 10 ms.
SMALL = 4096
Spawn = Callable[..., subprocess.Popen[str]]


def read_for(path: Path, seconds: float, pause_s: float = 0.0) -> bytes:
    """Attach a reader to a FIFO, let it idle for `pause_s`, then read for `seconds`."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, 2 * SMALL)
    try:
        time.sleep(pause_s)
        return drain(fd, seconds)
    finally:
        os.close(fd)


def drain(fd: int, seconds: float) -> bytes:
    data, end = b"", time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(BlockingIOError):
            data += os.read(fd, 65536)
        time.sleep(0.005)
    return data


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "port"
    os.mkfifo(path)
    return path


def start(spawn: Spawn, pvprobe: Path, port: Path, interval_ms: int, *options: str) -> subprocess.Popen[str]:
    return spawn(pvprobe, "guest", "--port", port, "--interval", str(interval_ms), *options)


def span_ns(stream: ProbeStream) -> int:
    return stream.samples[-1].t0_ns - stream.samples[0].t0_ns


def test_samples_say_what_proc_stat_says(spawn: Spawn, pvprobe: Path, fifo: Path) -> None:
    start(spawn, pvprobe, fifo, 50)
    stream = parse_stream(read_for(fifo, 1.5))
    assert stream.hello is not None and stream.hello.side == "guest" and stream.hello.interval_ms == 50
    assert len(stream.samples) >= 10
    assert [sample.seq for sample in stream.samples] == list(range(len(stream.samples)))
    cpus = [times.cpu for times in stream.samples[0].cpus]
    wanted = [line.split() for line in Path("/proc/stat").read_text().splitlines() if line[3:4].isdigit()]
    assert [f"cpu{cpu}" for cpu in cpus] == [words[0] for words in wanted]
    assert stream.samples[-1].cpus[0].idle <= int(wanted[0][4])


def test_interval_of_10_ms_is_kept_and_costs_little(spawn: Spawn, pvprobe: Path, fifo: Path) -> None:
    start(spawn, pvprobe, fifo, 10)
    stream = parse_stream(read_for(fifo, 2))
    samples = stream.samples[25:]
    elapsed_ns = samples[-1].t0_ns - samples[0].t0_ns
    assert elapsed_ns / (len(samples) - 1) < 15_000_000
    assert (samples[-1].probe_cpu_ns - samples[0].probe_cpu_ns) / elapsed_ns < 0.05


def test_late_reader_gets_the_first_line_then_recent_samples(spawn: Spawn, pvprobe: Path, fifo: Path) -> None:
    start(spawn, pvprobe, fifo, 10, "--ring", str(SMALL))
    time.sleep(1.5)
    attached_ns = time.monotonic_ns()
    stream = parse_stream(read_for(fifo, 0.7))
    assert stream.hello is not None and stream.dropped > 50
    assert stream.samples[0].seq > 30
    assert attached_ns - stream.samples[0].t0_ns < 1_200_000_000
    assert stream.samples[-1].t0_ns > attached_ns


def test_every_reader_gets_the_first_line(spawn: Spawn, pvprobe: Path, fifo: Path) -> None:
    start(spawn, pvprobe, fifo, 20)
    first = parse_stream(read_for(fifo, 0.6))
    second = parse_stream(read_for(fifo, 1.2))
    assert first.hello == second.hello and first.hello is not None
    assert second.samples[-1].seq > first.samples[-1].seq


def test_stalled_reader_stalls_no_sample_and_drops_are_counted(
    spawn: Spawn, pvprobe: Path, fifo: Path
) -> None:
    start(spawn, pvprobe, fifo, 10, "--ring", str(SMALL))
    data = read_for(fifo, seconds=0.7, pause_s=2)
    stream = parse_stream(data)
    taken = stream.samples[-1].seq + 1
    assert span_ns(stream) / taken < 15_000_000, "the sampling waited for the reader"
    missing = taken - len(stream.samples)
    assert stream.dropped == missing > 0
    assert stream.samples[0].seq == 0, "what came before the stall was lost"


def test_a_drop_line_stands_where_samples_are_missing(spawn: Spawn, pvprobe: Path, fifo: Path) -> None:
    start(spawn, pvprobe, fifo, 10, "--ring", str(SMALL))
    lines = read_for(fifo, seconds=0.7, pause_s=2).decode().splitlines()
    last, dropped = -1, 0
    for number, line in enumerate(lines):
        if line.startswith("b "):
            seq = int(line.split()[1])
            if seq != last + 1:
                word, total = lines[number - 1].split()
                assert word == "d" and int(total) - dropped == seq - last - 1
                dropped = int(total)
            last = seq
    assert dropped > 0


def test_terminal_does_not_change_the_bytes(spawn: Spawn, pvprobe: Path) -> None:
    master, slave = pty.openpty()
    os.set_blocking(master, False)
    start(spawn, pvprobe, Path(os.ttyname(slave)), 20)
    data = drain(master, 1)
    os.close(master)
    os.close(slave)
    assert b"\r" not in data and len(parse_stream(data).samples) > 5


def test_port_may_appear_later(spawn: Spawn, pvprobe: Path, tmp_path: Path) -> None:
    process = start(spawn, pvprobe, tmp_path / "later", 20)
    time.sleep(0.3)
    assert process.poll() is None
    os.mkfifo(tmp_path / "later")
    stream = parse_stream(read_for(tmp_path / "later", 1))
    assert stream.samples[0].seq == 0


def test_loads_come_and_go(spawn: Spawn, pvprobe: Path, pvspin: Path, fifo: Path, tmp_path: Path) -> None:
    loads = tmp_path / "load"
    start(spawn, pvprobe, fifo, 20, "--load-dir", str(loads))
    fd = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    name = ("--name", "busy", "--load-dir", str(loads))
    subprocess.run([pvspin, "run", *name, "--tasks", "2", "--vcpus", "0", "--daemon"], check=True, timeout=20)
    data = drain(fd, 1)
    subprocess.run([pvspin, "stop", *name], check=True, timeout=20)
    stream = parse_stream(data + drain(fd, 1.2))
    os.close(fd)
    counts = [len(sample.tasks) for sample in stream.samples]
    assert counts[-1] == 0 and max(counts) == 2
    seen = [task for sample in stream.samples for task in sample.tasks if task.task == 0]
    assert seen[-1].work > seen[0].work and {task.affinity for task in seen} == {"0"}
    assert {task.vcpu for task in seen} == {0}


def changes(stream: ProbeStream, path: Path) -> list[str]:
    """What a watched file held, without what was only told again."""
    told = [one.value for sample in stream.samples for one in sample.files if one.path == str(path)]
    return [value for i, value in enumerate(told) if i == 0 or told[i - 1] != value]


def overwrite(path: Path, longer: str) -> None:
    """As the kernel changes such a file: nobody ever finds it empty meanwhile."""
    with path.open("r+") as file:
        file.write(longer)


def test_watched_files_are_told_when_they_change_and_now_and_then(
    spawn: Spawn, pvprobe: Path, fifo: Path, tmp_path: Path
) -> None:
    mask, late = tmp_path / "mask", tmp_path / "late"
    mask.write_text("\n")
    start(spawn, pvprobe, fifo, 10, "--watch", f"{mask},{late},{tmp_path}/never")
    fd = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    data = drain(fd, 0.5)
    for value in ("3", "2-3"):
        overwrite(mask, value + "\n")
        data += drain(fd, 0.3)
    late.write_text("two\nlines \n\n")
    data += drain(fd, 1.2)
    os.close(fd)
    stream = parse_stream(data)
    assert changes(stream, mask) == ["", "3", "2-3"]
    assert changes(stream, late) == ["two lines"]
    told = [sample.seq for sample in stream.samples if any(one.path == str(mask) for one in sample.files)]
    assert {seq for seq in told if seq % 50 == 0} == set(range(0, stream.samples[-1].seq + 1, 50))
    assert len(told) < len(stream.samples) / 10
    assert {one.path for sample in stream.samples for one in sample.files} == {str(mask), str(late)}


def test_a_change_is_seen_by_the_next_sample(spawn: Spawn, pvprobe: Path, fifo: Path, tmp_path: Path) -> None:
    mask = tmp_path / "mask"
    mask.write_text("0\n")
    start(spawn, pvprobe, fifo, 20, "--watch", str(mask))
    fd = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    data = drain(fd, 0.5)
    changed_ns = time.monotonic_ns()
    mask.write_text("1\n")
    stream = parse_stream(data + drain(fd, 0.9))
    os.close(fd)
    seen = next(s.t0_ns for s in stream.samples if any(one.value == "1" for one in s.files))
    assert 0 <= seen - changed_ns < 60_000_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no command"),
        (["guess"], "unknown command guess"),
        (["guest", "--interval", "100"], "missing option --port"),
        (["guest", "--port", "x", "--interval", "9"], "10 to 10000 milliseconds, not 9"),
        (["guest", "--port", "x", "--interval", "1e3"], "10 to 10000 milliseconds, not 1e3"),
        (["guest", "--prot", "x"], "unknown option --prot"),
        (["host", "--out"], "no value for option --out"),
    ],
)
def test_a_wrong_command_line_is_refused(pvprobe: Path, arguments: list[str], message: str) -> None:
    done = subprocess.run([pvprobe, *arguments], capture_output=True, text=True, timeout=10)
    assert done.returncode == 2 and message in done.stderr


def test_clock_prints_both_clocks_and_the_boot(pvprobe: Path) -> None:
    before_ns = time.monotonic_ns()
    done = subprocess.run([pvprobe, "clock"], capture_output=True, text=True, timeout=10, check=True)
    monotonic_ns, realtime_ns, boot_id = done.stdout.split()
    assert before_ns <= int(monotonic_ns) <= time.monotonic_ns()
    assert abs(int(realtime_ns) - time.time_ns()) < 10**10
    assert boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="no time stamp counter on this architecture")
def test_tsc_frequency_is_the_same_twice(pvprobe: Path) -> None:
    def measure() -> float:
        return float(subprocess.run([pvprobe, "tsc"], capture_output=True, timeout=10, check=True).stdout)

    first, second = measure(), measure()
    assert first > 100_000 and abs(first - second) / first < 0.001


def test_fifo_without_reader_costs_next_to_nothing(spawn: Spawn, pvprobe: Path, fifo: Path) -> None:
    process = start(spawn, pvprobe, fifo, 100)
    time.sleep(2)
    wait_until("the process to run", lambda: process.poll() is None)
    ticks = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    assert int(ticks[11]) + int(ticks[12]) <= 10  # 1/100 s of user and system time in 2 s
