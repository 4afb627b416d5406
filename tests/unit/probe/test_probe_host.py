# SPDX-License-Identifier: GPL-2.0-only
"""The probe on a host: a program with QEMU's thread names and a plain unix socket stand in for a guest."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from probing import HostProbe, start_host_probe, wait_until

from lab.measure.probestream import parse_stream

Spawn = Callable[..., subprocess.Popen[str]]
HELLO = b"pvprobe 1 guest interval_ms=100 boot_ns=1\n"
SAMPLE = b"b 0 10\nk cpu0 1 2 3 4 5 6 7 8 9 10\ne 0 20 5\n"


@pytest.fixture
def emulator(built: Path, tmp_path: Path) -> Callable[[Spawn, float], Path]:
    """Starts a fake emulator with two vCPU threads; returns its pid file."""

    def start(spawn: Spawn, seconds: float) -> Path:
        spawn(built / "fake_emulator", "2", str(seconds), tmp_path / "pid")
        return tmp_path / "pid"

    return start


@pytest.fixture
def port(tmp_path: Path) -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(tmp_path / "port"))
        listener.listen(1)
        listener.settimeout(10)
        yield listener


def test_vcpu_threads_are_sampled_and_death_is_noticed(
    host_probe: HostProbe, spawn: Spawn, emulator: Callable[[Spawn, float], Path]
) -> None:
    pidfile = emulator(spawn, 1.5)
    host_probe.say(f"guest g1 {pidfile} - - -")
    host_probe.wait_event("hello ")
    gone_ns = int(host_probe.wait_event("gone g1 ").split()[2])
    assert time.monotonic_ns() - gone_ns < 500_000_000
    time.sleep(0.3)  # samples without it follow
    stream = host_probe.end()
    # In a sample at its very end, one of its threads may be gone before the other.
    watched = [sample for sample in stream.samples if len(sample.vcpus) == 2]
    assert {vcpu.vcpu for sample in watched for vcpu in sample.vcpus} == {0, 1}
    first, last = watched[5].vcpus[0], watched[-1].vcpus[0]
    assert last.tid == first.tid
    accounted = (last.run_ns - first.run_ns) + (last.delay_ns - first.delay_ns)
    assert accounted == pytest.approx(last.t_ns - first.t_ns, rel=0.1)
    assert [gone.guest for gone in stream.gone] == ["g1"] and abs(stream.gone[0].t_ns - gone_ns) < 10**9
    assert not stream.samples[-1].vcpus


def test_stream_is_copied_and_every_arrival_noted(
    host_probe: HostProbe,
    port: socket.socket,
    spawn: Spawn,
    emulator: Callable[[Spawn, float], Path],
    tmp_path: Path,
) -> None:
    pidfile = emulator(spawn, 30)
    host_probe.say(f"guest g1 {pidfile} {tmp_path}/port {tmp_path}/copy -")
    with closing(port.accept()[0]) as guest:
        guest.sendall(b"rest of an earlier stream\n" + HELLO[:20])
        time.sleep(0.3)
        assert host_probe.find("ready") is None
        guest.sendall(HELLO[20:])
        host_probe.wait_event("ready g1 ")
        guest.sendall(SAMPLE)
        wait_until("the copy", lambda: (tmp_path / "copy").read_bytes() == HELLO + SAMPLE)
        stream = host_probe.end()
    assert len(parse_stream((tmp_path / "copy").read_bytes()).samples) == 1
    assert [one.offset for one in stream.arrivals] == [0, len(HELLO), len(HELLO + SAMPLE)]
    assert all(one.guest == "g1" for one in stream.arrivals)
    times = [one.t_ns for one in stream.arrivals]
    assert times == sorted(times)


def test_socket_and_process_may_appear_later(
    host_probe: HostProbe, spawn: Spawn, emulator: Callable[[Spawn, float], Path], tmp_path: Path
) -> None:
    host_probe.say(f"guest g1 {tmp_path}/pid {tmp_path}/port {tmp_path}/copy {tmp_path}/console")
    time.sleep(0.4)
    emulator(spawn, 1.5)
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(tmp_path / "port"))
        listener.listen(1)
        listener.settimeout(10)
        with closing(listener.accept()[0]) as guest:
            guest.sendall(HELLO)
            host_probe.wait_event("ready g1 ")
            host_probe.wait_event("gone g1 ")
    assert not [event for event in host_probe.events if event.startswith("error")]


def test_port_that_closes_under_a_living_process_is_an_error(
    host_probe: HostProbe,
    port: socket.socket,
    spawn: Spawn,
    emulator: Callable[[Spawn, float], Path],
    tmp_path: Path,
) -> None:
    host_probe.say(f"guest g1 {emulator(spawn, 30)} {tmp_path}/port {tmp_path}/copy -")
    port.accept()[0].close()
    host_probe.wait_event("error g1 port closed while the process lives on")


def test_trouble_on_the_console_is_told_once_per_kind(
    host_probe: HostProbe, spawn: Spawn, emulator: Callable[[Spawn, float], Path], tmp_path: Path
) -> None:
    console = tmp_path / "console"
    host_probe.say(f"guest g1 {emulator(spawn, 2)} - - {console}")
    console.write_text(
        "all is well\n[ 1.2] Kernel panic - not syncing: Attempted to kill init!\nKernel panic again\n"
    )
    assert host_probe.wait_event("console g1 ") == (
        "console g1 [ 1.2] Kernel panic - not syncing: Attempted to kill init!"
    )
    with console.open("a") as more:
        more.write("watchdog: BUG: soft lockup - CPU#0\nlab-init: fatal: /dev/vda: No such file or directory")
    host_probe.wait_event("gone g1 ")
    told = [event for event in host_probe.events if event.startswith("console")]
    assert told[1:] == [
        "console g1 watchdog: BUG: soft lockup - CPU#0",
        "console g1 lab-init: fatal: /dev/vda: No such file or directory",
    ]


def test_a_process_that_ended_before_it_was_watched_is_gone(host_probe: HostProbe, tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as ended:
        ended.wait(10)
    (tmp_path / "pid").write_text(f"{ended.pid}\n")
    host_probe.say(f"guest g1 {tmp_path}/pid - - -")
    host_probe.wait_event("gone g1 ", deadline_s=2)


def test_commands(host_probe: HostProbe, tmp_path: Path) -> None:
    host_probe.say("now")
    now_ns = int(host_probe.wait_event("now ").split()[1])
    host_probe.say("mark the start of it all")
    marked = host_probe.wait_event("marked ")
    assert marked.split(" ", 2)[2] == "the start of it all" and int(marked.split()[1]) >= now_ns
    assert parse_stream(host_probe.out.read_bytes()).marks[0].text == "the start of it all"
    for line, answer in (
        ("nonsense", "error - unknown command: nonsense"),
        ("drop g7", "error g7 is not watched"),
        ("guest too few", "error - expected: guest NAME"),
    ):
        host_probe.say(line)
        host_probe.wait_event(answer)
    host_probe.say(f"guest g1 {tmp_path}/no-pid - - -")
    host_probe.say(f"guest g1 {tmp_path}/no-pid - - -")
    host_probe.wait_event("error g1 is watched already")
    host_probe.say("drop g1")
    host_probe.say("quit")
    assert host_probe.process.wait(10) == 0


def ask(probe: HostProbe) -> list[list[str]]:
    """The lines of one answer to `state`, without its end."""
    before = len(probe.events)
    probe.say("state")
    wait_until("the end of the answer", lambda: probe.find_after(before, "state-end ") is not None)
    return [line.split() for line in probe.events[before:] if not line.startswith("state-end")]


def test_state_without_guests_is_an_end(host_probe: HostProbe) -> None:
    host_probe.wait_event("hello ")
    assert ask(host_probe) == []
    assert int(host_probe.wait_event("state-end ").split()[1]) <= time.monotonic_ns()


def test_state_has_the_threads_of_the_last_sample(
    host_probe: HostProbe, spawn: Spawn, emulator: Callable[[Spawn, float], Path]
) -> None:
    host_probe.say(f"guest g1 {emulator(spawn, 30)} - - -")
    wait_until("both threads", lambda: len(ask(host_probe)) == 2)
    lines = {int(words[2]): words for words in ask(host_probe)}
    assert {words[0] for words in lines.values()} == {"state-vcpu"} and set(lines) == {0, 1}
    assert time.monotonic_ns() - int(lines[0][3]) < 500_000_000
    stream = host_probe.end()
    sampled = {
        (vcpu.vcpu, vcpu.t_ns): (vcpu.run_ns, vcpu.delay_ns) for one in stream.samples for vcpu in one.vcpus
    }
    for vcpu, (_, _, _, t_ns, run_ns, delay_ns) in lines.items():
        assert sampled[vcpu, int(t_ns)] == (int(run_ns), int(delay_ns))


def test_state_has_the_steal_of_the_last_whole_sample(
    host_probe: HostProbe,
    port: socket.socket,
    spawn: Spawn,
    emulator: Callable[[Spawn, float], Path],
    tmp_path: Path,
) -> None:
    host_probe.say(f"guest g1 {emulator(spawn, 30)} {tmp_path}/port {tmp_path}/copy -")
    first = b"b 0 10\nk cpu0 1 2 3 4 5 6 7 8 9 10\nk cpu12 1 2 3 4 5 6 7 25 9 10 11\ne 0 20 5\n"
    task = b"w busy 0 51 1857 1 " + b"0," * 400 + b"0\n"
    second = b"b 1 110\nf /sys/a 3\nk cpu0 1 2 3 4 5 6 7 9 9 10\n" + task + b"e 1 130 5\n"
    with closing(port.accept()[0]) as guest:

        def send(data: bytes, length: int) -> None:
            guest.sendall(data)
            wait_until("the copy", lambda: (tmp_path / "copy").stat().st_size == length)

        def steal() -> list[tuple[int, ...]]:
            lines = [words for words in ask(host_probe) if words[0] == "state-steal"]
            assert all(0 < time.monotonic_ns() - int(words[3]) < 10**10 for words in lines)
            return [(int(words[2]), int(words[4]), int(words[5])) for words in lines]

        send(HELLO, len(HELLO))
        assert steal() == []
        send(first[:-4], len(HELLO + first) - 4)
        assert steal() == [], "half a sample is none"
        send(first[-4:], len(HELLO + first))
        assert steal() == [(0, 15, 80_000_000), (12, 15, 250_000_000)]
        send(second, len(HELLO + first + second))
        assert steal() == [(0, 120, 90_000_000)], "a CPU without a line is offline"


def test_an_answer_that_nobody_reads_does_not_stop_the_sampling(
    pvprobe: Path, tmp_path: Path, spawn: Spawn, emulator: Callable[[Spawn, float], Path]
) -> None:
    with start_host_probe(pvprobe, tmp_path / "host.stream", interval_ms=20) as probe:
        probe.say(f"guest g1 {emulator(spawn, 30)} - - -")
        for _ in range(2000):  # several times what a pipe holds
            probe.say("state")
        time.sleep(1)
        before = len(parse_stream((tmp_path / "host.stream").read_bytes()).samples)
        time.sleep(2.2)
        after = len(parse_stream((tmp_path / "host.stream").read_bytes()).samples)
        assert after - before > 60
        probe.drain()
        assert ask(probe), "it answers again as soon as somebody listens"


def test_end_of_stdin_ends_it_and_loses_nothing(host_probe: HostProbe) -> None:
    host_probe.wait_event("hello ")
    time.sleep(0.5)
    ended_ns = time.monotonic_ns()
    stream = host_probe.end()
    assert len(stream.samples) > 10 and stream.dropped == 0
    assert ended_ns - stream.samples[-1].t1_ns < 200_000_000


def test_unwritable_file_is_refused(pvprobe: Path, tmp_path: Path) -> None:
    with start_host_probe(pvprobe, tmp_path / "none" / "x", 100) as probe:
        assert probe.process.wait(10) == 1
