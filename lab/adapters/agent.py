# SPDX-License-Identifier: GPL-2.0-only
"""`pvprobe host` as a child process, directly or at the other end of ssh: the Agent port."""

from __future__ import annotations

import queue
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress

from lab.errors import HostLost
from lab.run.ports import AgentEvent

_STOP_TIMEOUT_S = 10


class ProcessAgent:
    """A child whose standard input takes commands and whose standard output gives events.

    A thread reads the output: the pipe never fills, so the agent never waits for its reader.
    """

    def __init__(self, argv: Sequence[str], name: str) -> None:
        self.name = name
        self._events: queue.Queue[AgentEvent | None] = queue.Queue()
        self._sending = threading.Lock()
        self._child = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            bufsize=1,
            start_new_session=True,  # Ctrl-C is for the lab to handle, in order
        )
        self._reader = threading.Thread(target=self._read, name=f"{name}-events", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            words = line.split()
            if words:
                self._events.put(AgentEvent(words[0], tuple(words[1:])))
        self._events.put(None)

    def _lost(self) -> HostLost:
        assert self._child.stderr is not None
        self._child.kill()
        status = self._child.wait()
        said = self._child.stderr.read().strip()
        return HostLost(
            f"{self.name}: the probe's connection ended (status {status}){': ' + said if said else ''}"
        )

    def send(self, line: str) -> None:
        """Write one command line."""
        assert self._child.stdin is not None
        try:
            with self._sending:
                self._child.stdin.write(line + "\n")
                self._child.stdin.flush()
        except (BrokenPipeError, ValueError):
            raise self._lost() from None

    def events(self, timeout_s: float) -> Iterator[AgentEvent]:
        """Events as they come, until `timeout_s` from now."""
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            try:
                event = self._events.get(timeout=left)
            except queue.Empty:
                return
            if event is None:
                self._events.put(None)  # whoever asks next must hear it too
                raise self._lost()
            yield event

    def stop(self) -> None:
        """Ask it to end, wait, and end it by force if it does not."""
        if self._child.poll() is None:
            try:
                self.send("quit")
                self._child.wait(_STOP_TIMEOUT_S)
            except (HostLost, subprocess.TimeoutExpired):
                self._child.kill()
                self._child.wait()
        self._reader.join(_STOP_TIMEOUT_S)
        for pipe in (self._child.stdin, self._child.stdout, self._child.stderr):
            if pipe is not None and not pipe.closed:
                with suppress(OSError):  # what a dead child was told and never read
                    pipe.close()
