# SPDX-License-Identifier: GPL-2.0-only
"""pvload in a fake guest. A command `fake SECONDS [STATUS]` runs for so long and says how long it took; any other
program is not there. Times are of the guest's clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise, takewhile

from lab.run.ports import CommandResult

PROGRAM = "fake"
TERMINATED = 143
S = 1_000_000_000
#: Real time that somebody has to notice the end of a run.
NOTICE_S = 2.0


@dataclass
class FakeRun:
    """One run: when it was to begin, began, and will end; 0 where that is not known yet."""

    seconds: float
    status: int
    at_ns: int = 0
    begin_ns: int = 0
    end_ns: int = 0
    stopped: bool = False
    noticed: bool = False

    def wait_noticed(self) -> None:
        """Hold virtual time at its end for whoever waits for that, in a thread of its own."""
        deadline_s = time.monotonic() + NOTICE_S
        while not self.noticed and time.monotonic() < deadline_s:
            time.sleep(0.0005)
        time.sleep(0.02)  # and for it to be told

    def status_text(self) -> bytes:
        return (
            f"pvload 1\nat {self.at_ns}\nbegin {self.begin_ns}\nend {self.end_ns}\nstatus {self.status}\n"
            f"stopped {int(self.stopped)}\nwritten 9\nlost 0\nuser 1\nsystem 1\n"
        ).encode()


@dataclass
class FakeRuns:
    """The runs of one guest by directory; `files` is where their files appear."""

    files: dict[str, bytearray]
    runs: dict[str, FakeRun] = field(default_factory=dict)

    def obey(self, words: list[str], now: Callable[[], int]) -> CommandResult:
        if "&&" in words:
            at = words.index("&&")
            first, rest = self.obey(words[:at], now), self.obey(words[at + 2 :], now)
            return CommandResult(first.status or rest.status, first.stdout + rest.stdout, rest.stderr)
        said = list(takewhile(lambda word: word != "--", words))
        options = dict(pairwise(said[1:]))
        directory = options["--dir"]
        command = words[len(said) + 1 :]
        if said[0] == "arm":
            return self._arm(directory, command)
        run = self.runs.get(directory)
        if run is None:
            return CommandResult(4 if said[0] == "wait" else 1, "", f"pvload: {directory}: nothing there\n")
        if said[0] == "release":
            run.at_ns = int(options["--at"])
            run.begin_ns = max(run.at_ns, now())
            run.end_ns = run.begin_ns + round(run.seconds * S)
            return CommandResult(0, f"now {now()}\n", "")
        if said[0] == "wait":  # whoever asks sees to it that time passes
            return CommandResult(0 if self._settle(directory, run, now()) else 1, "", "")
        if not self._settle(directory, run, now()):
            run.stopped, run.status, run.end_ns = True, TERMINATED, now()
            self._settle(directory, run, now())
        return CommandResult(0, "", "")

    def _arm(self, directory: str, command: list[str]) -> CommandResult:
        if command[0] != PROGRAM:
            return CommandResult(3, "", f"pvload: {command[0]}: no such program here\n")
        if directory in self.runs:
            return CommandResult(1, "", f"pvload: {directory}: File exists\n")
        self.runs[directory] = FakeRun(float(command[1]), int(command[2]) if command[2:] else 0)
        return CommandResult(0, "", "")

    def _settle(self, directory: str, run: FakeRun, now_ns: int) -> bool:
        """Whether it has ended by now; then its files are there."""
        if not run.end_ns or now_ns < run.end_ns:
            return False
        if not run.stopped:
            self.files[f"{directory}/out"] = bytearray(f"took {run.seconds:g}\n".encode())
        self.files[f"{directory}/status"] = bytearray(run.status_text())
        return True
