# SPDX-License-Identifier: GPL-2.0-only
"""The follower: what it tells of files that grow, vanish, are written anew, and are emptied by it."""

from __future__ import annotations

import os
import queue
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.live.feed import Look, LookParser

HELLO = "pvprobe 1 host interval_ms=100 boot_ns=1 user_hz=100\n"
NO_SAMPLE = "s 1 edge\nk cpu0 1 2 3 4 5 6 7 8 9 10\nt 1 1 - 0 1 1 0 0 b e\nz 2 3\n"


def sample(seq: int, steal: int = 7) -> str:
    return f"b {seq} {seq * 1000}\nk cpu0 1 2 3 4 5 6 7 {steal} 9 10\ne {seq} {seq * 1000 + 1} 5\n"


class Follower:
    """A running `pvprobe follow` that looks every 50 ms."""

    def __init__(self, pvprobe: Path, *options: str) -> None:
        self.process = subprocess.Popen(
            [pvprobe, "follow", "--every", "50", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._parser = LookParser()
        self._looks: queue.Queue[Look] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def say(self, *commands: str | Path) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(" ".join(map(str, commands)) + "\n")
        self.process.stdin.flush()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            look = self._parser.take(line.rstrip("\n"))
            if look is not None:
                self._looks.put(look)

    def news(self, deadline_s: float = 20) -> Look:
        """The next look that has anything to tell."""
        end = time.monotonic() + deadline_s
        while True:
            look = self._looks.get(timeout=max(0.01, end - time.monotonic()))
            if look.streams or look.texts or look.damaged:
                return look

    def quiet(self, looks: int = 3) -> bool:
        """Whether the next looks have nothing to tell."""
        while not self._looks.empty():
            self._looks.get()
        found = [self._looks.get(timeout=20) for _ in range(looks)]
        return not any(look.streams or look.texts or look.damaged for look in found)

    def end(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.close()
        status = self.process.wait(20)
        self._reader.join(20)
        return status


@pytest.fixture
def follower(pvprobe: Path) -> Iterator[Follower]:
    one = Follower(pvprobe)
    yield one
    if one.process.poll() is None:
        one.end()


def test_the_last_whole_sample_is_told_and_all_between(follower: Follower, tmp_path: Path) -> None:
    path = tmp_path / "stream"
    path.write_text(f"{HELLO}{sample(0)}m 5 phase-start a\n{NO_SAMPLE}{sample(1, 8)}g guest1 77\nb 2 2000\n")
    follower.say("stream", "@host", path)
    stream = follower.news().streams["@host"]
    assert [one.seq for one in stream.samples] == [1] and stream.samples[0].cpus[0].steal == 8
    assert [one.text for one in stream.marks] == ["phase-start a"]
    assert [one.guest for one in stream.gone] == ["guest1"]
    assert follower.quiet()
    with path.open("a") as file:
        file.write("k cpu0 1 2 3 4 5 6 7 9 9 10\ne 2 2001 5\n")
    stream = follower.news().streams["@host"]
    assert [(one.seq, one.cpus[0].steal) for one in stream.samples] == [(2, 9)] and not stream.marks


def test_lines_are_whole_wherever_the_file_was_cut(follower: Follower, tmp_path: Path) -> None:
    path = tmp_path / "stream"
    follower.say("stream", "guest1", path)
    assert follower.quiet()  # it does not exist yet
    with path.open("w") as file:
        for byte in HELLO + sample(3):
            file.write(byte)
            file.flush()
    stream = follower.news().streams["guest1"]
    while not stream.samples:
        stream = follower.news().streams["guest1"]
    assert stream.samples[0].seq == 3


def test_of_a_long_file_the_end_is_told(follower: Follower, tmp_path: Path) -> None:
    path, console = tmp_path / "stream", tmp_path / "console"
    path.write_text(HELLO + "".join(f"m {one} old\n{sample(one)}" for one in range(20_000)))
    console.write_text("".join(f"line {one}\n" for one in range(5000)))
    follower.say("stream", "@host", path)
    follower.say("text", "@host", console)
    looks = [follower.news()]
    while not (looks[-1].texts or looks[0].texts) or not any(one.streams for one in looks):
        looks.append(follower.news())
    stream = next(one.streams["@host"] for one in looks if one.streams)
    assert [one.seq for one in stream.samples] == [19_999] and 0 < len(stream.marks) < 10_000
    lines = next(one.texts["@host"] for one in looks if one.texts)
    assert lines[-1] == "line 4999" and 100 < len(lines) < 2000 and lines[0].startswith("line ")


def test_a_stream_that_begins_anew_is_another(follower: Follower, tmp_path: Path) -> None:
    path = tmp_path / "stream"
    path.write_text(HELLO + sample(5) + sample(6))
    follower.say("stream", "@host", path)
    assert follower.news().streams["@host"].samples[0].seq == 6
    path.write_text(HELLO.replace("boot_ns=1", "boot_ns=2") + sample(0))
    stream = follower.news().streams["@host"]
    assert stream.hello is not None and stream.hello.boot_ns == 2 and stream.samples[0].seq == 0


def test_a_stream_for_the_follower_alone_stays_short(
    pvprobe: Path, follower: Follower, tmp_path: Path
) -> None:
    path = tmp_path / "stream"
    probe = subprocess.Popen(
        [pvprobe, "host", "--out", path, "--interval", "20"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        follower.say("stream", "@host", path, "4096")
        seen: list[int] = []
        longest = 0
        while len(seen) < 4:
            seen += [one.seq for one in follower.news().streams["@host"].samples]
            longest = max(longest, path.stat().st_size)
    finally:
        probe.communicate(timeout=20)
    assert seen == sorted(set(seen)) and longest < 64 * 1024


def test_names_are_dropped_and_replaced(follower: Follower, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("first\n")
    two.write_text("second\n")
    follower.say("text", "guest1", one)
    assert follower.news().texts == {"guest1": ("first",)}
    follower.say("text", "guest1", two)
    assert follower.news().texts == {"guest1": ("second",)}
    follower.say("drop", "guest1")
    time.sleep(0.2)
    two.write_text("second\nthird\n")
    assert follower.quiet()


def test_whatever_a_console_says_is_one_line(follower: Follower, tmp_path: Path) -> None:
    path = tmp_path / "console"
    path.write_bytes(b"a\r\n" + b"x" * 5000 + b"\n\0\xff[31m\n")
    follower.process.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    follower.say("text", "guest1", path)
    lines = follower.news().texts["guest1"]
    assert lines[0] == "a" and lines[1] == "x" * 1023 and lines[2].endswith("[31m")


def test_nonsense_is_ignored(follower: Follower, tmp_path: Path) -> None:
    path = tmp_path / "one"
    path.write_text("here\n")
    for line in ("", "stream", "stream a", "moon a b", "x" * 9000):
        follower.say(line)
    follower.say()
    follower.say("text", "guest1", path)
    assert follower.news().texts == {"guest1": ("here",)}


def test_it_ends_with_its_connection_and_says_who_it_is(pvprobe: Path, tmp_path: Path) -> None:
    pid, parent = tmp_path / "pid", tmp_path / "parent"
    follower = Follower(pvprobe, "--pid", str(pid), "--parent-pid", str(parent))
    assert follower.quiet(1)
    assert int(pid.read_text()) == follower.process.pid and int(parent.read_text()) == os.getpid()
    assert follower.end() == 0


def test_it_ends_where_nobody_reads(pvprobe: Path) -> None:
    process = subprocess.Popen(
        [pvprobe, "follow", "--every", "20"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(20) == 0  # by itself, and not by SIGPIPE
    assert process.stdin is not None
    process.stdin.close()


def test_options_are_checked(pvprobe: Path) -> None:
    done = subprocess.run([pvprobe, "follow", "--every", "5"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 2 and "10 to 10000" in done.stderr
