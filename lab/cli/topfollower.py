# SPDX-License-Identifier: GPL-2.0-only
"""`pvprobe follow` at the other end of one long-lived connection."""

from __future__ import annotations

import queue
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress

from lab.errors import HostLost
from lab.live.feed import FeedError, Look, LookParser

#: What a shell says of a program that is not there.
NOT_FOUND = 127
_END_S = 5
#: Looks that are kept for whoever does not come for them: more would be old news.
_KEPT_LOOKS = 600


class Follower:
    """A child that tells looks. A thread reads them, so that the child never waits for its reader."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._child = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            bufsize=1,
            start_new_session=True,  # Ctrl-C on the terminal is not for it
        )
        self._looks: queue.Queue[Look] = queue.Queue(_KEPT_LOOKS)
        self._damage = self._complaint = ""
        self._reader = threading.Thread(target=self._read, name="follower", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._child.stdout is not None
        parser = LookParser()
        with suppress(ValueError):  # closed while it was read
            for line in self._child.stdout:
                try:
                    look = parser.take(line.rstrip("\n"))
                except FeedError as error:
                    self._damage = str(error)
                    self._child.kill()
                    return
                if look is not None:
                    self._keep(look)

    def _keep(self, look: Look) -> None:
        with suppress(queue.Empty):
            if self._looks.full():
                self._looks.get_nowait()
        self._looks.put(look)

    def say(self, command: str) -> None:
        """One command line. Raises HostLost where nobody hears it."""
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(command + "\n")
            self._child.stdin.flush()
        except (OSError, ValueError):
            raise self._lost() from None

    def looks(self) -> list[Look]:
        """Every look since the last time. Raises HostLost when there will be no more."""
        found: list[Look] = []
        with suppress(queue.Empty):
            while True:
                found.append(self._looks.get_nowait())
        if not found and not self._reader.is_alive():
            raise self._lost()
        return found

    @property
    def status(self) -> int | None:
        """The child's exit status, None while it runs."""
        return self._child.poll()

    def _lost(self) -> HostLost:
        assert self._child.stderr is not None
        self._wait()
        self._complaint = self._complaint or " ".join(self._child.stderr.read().split())[-200:]
        said = self._damage or self._complaint
        return HostLost(f"the connection to the host ended{': ' + said if said else ''}")

    def _wait(self) -> None:
        try:
            self._child.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def stop(self) -> None:
        """End it; safe to repeat."""
        assert self._child.stdin is not None
        with suppress(OSError, ValueError):
            self._child.stdin.close()
        self._wait()
        self._reader.join(_END_S)
        for pipe in (self._child.stdout, self._child.stderr):
            if pipe is not None:
                with suppress(OSError, ValueError):
                    pipe.close()
