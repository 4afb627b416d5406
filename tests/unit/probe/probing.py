# SPDX-License-Identifier: GPL-2.0-only
"""Talking to a probe as the lab does: commands by stdin, events by stdout; and waiting with a deadline."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lab.measure.probestream import ProbeStream, parse_stream

DEADLINE_S = 20.0


def wait_until(what: str, condition: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
    """Poll `condition`; AssertionError naming `what` after `deadline_s`."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"waited {deadline_s} s for {what}"
        time.sleep(0.01)


@dataclass
class HostProbe:
    """A running `pvprobe host`; `events` are all lines it has said so far."""

    process: subprocess.Popen[bytes]
    out: Path
    events: list[str] = field(default_factory=list)
    _rest: bytes = b""

    def say(self, command: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(command.encode() + b"\n")
        self.process.stdin.flush()

    def wait_event(self, start: str, deadline_s: float = DEADLINE_S) -> str:
        """The first event that begins with `start`."""
        wait_until(f"event {start!r}, got {self.events}", lambda: self.find(start) is not None, deadline_s)
        found = self.find(start)
        assert found is not None
        return found

    def find(self, start: str) -> str | None:
        """The first event so far that begins with `start`, or None."""
        self._read()
        return next((event for event in self.events if event.startswith(start)), None)

    def find_after(self, count: int, start: str) -> str | None:
        """The first event after the first `count` that begins with `start`, or None."""
        self._read()
        return next((event for event in self.events[count:] if event.startswith(start)), None)

    def drain(self) -> None:
        """Read all that was said so far."""
        self._read()

    def _read(self) -> None:
        assert self.process.stdout is not None
        fd = self.process.stdout.fileno()
        while select.select([fd], [], [], 0)[0]:
            read = os.read(fd, 65536)
            if not read:
                return
            *lines, self._rest = (self._rest + read).split(b"\n")
            self.events += [line.decode() for line in lines]

    def end(self) -> ProbeStream:
        """End it as a lost connection does, and parse what it wrote."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(DEADLINE_S) == 0
        self._read()
        return parse_stream(self.out.read_bytes())


@contextmanager
def start_host_probe(pvprobe: Path, out: Path, interval_ms: int) -> Iterator[HostProbe]:
    command = [str(pvprobe), "host", "--out", str(out), "--interval", str(interval_ms)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield HostProbe(process, out)
        finally:
            process.kill()
