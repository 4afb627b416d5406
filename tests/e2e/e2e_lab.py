# SPDX-License-Identifier: GPL-2.0-only
"""The real `lab` command as a child, and the host that its labs run on, seen past the lab."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from lab.errors import UndecidedError

ROOT = Path(__file__).parents[2]
LAB = Path(sys.executable).parent / "lab"
#: A whole run of a shipped topology, with a boot that had to be repeated.
RUN_TIMEOUT_S = 600
#: A measurement that a disturbed host made invalid is no verdict, so it is taken again; a failed one never is.
DECIDING_RUNS = 3


@dataclass(frozen=True)
class Done:
    """What `lab` did: exit status and output."""

    status: int
    out: str
    err: str


def call(*args: str | Path, env: dict[str, str] | None = None, timeout_s: float = RUN_TIMEOUT_S) -> Done:
    """Run `lab` to its end."""
    done = subprocess.run(
        [LAB, *map(str, args)],
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


class Child:
    """`lab` while it runs: what it tells can be waited for, and it can be sent signals."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process = process
        self._log = log

    def told(self) -> str:
        """What it told so far."""
        return self._log.read_text()

    def wait_until(self, happened: Callable[[], bool], what: str, timeout_s: float = 180) -> None:
        """Wait for something while the command runs."""
        deadline = time.monotonic() + timeout_s
        while not happened():
            assert self.process.poll() is None, f"lab ended while waiting for {what}:\n{self.told()}"
            assert time.monotonic() < deadline, f"no {what} within {timeout_s} s:\n{self.told()}"
            time.sleep(0.02)

    def wait_told(self, text: str) -> None:
        """Wait until it told `text`."""
        self.wait_until(lambda: text in self.told(), f"line with {text!r}")

    def kill(self) -> None:
        """End it as an out-of-memory killer would."""
        self.process.kill()
        self.process.wait(30)

    def interrupt(self) -> int:
        """Ctrl-C, as a terminal gives it to the whole foreground; returns the exit status."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(120)


@contextmanager
def calling(*args: str | Path, log: Path) -> Iterator[Child]:
    """Start `lab`; whatever happens it does not outlive the context."""
    sink: IO[str]
    with log.open("w") as sink:
        process = subprocess.Popen(
            [LAB, *map(str, args)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            text=True,
            start_new_session=True,
        )
    try:
        yield Child(process, log)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(120)


@dataclass(frozen=True)
class RealHost:
    """The host that labs run on, seen past the lab: its own virsh and shell."""

    prefix: tuple[str, ...]

    def run(self, command: str) -> str:
        """The output of a shell command there."""
        done = subprocess.run(
            [*self.prefix, command],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def virsh(self, *words: str) -> str:
        """What virsh says."""
        return self.run("virsh -q " + " ".join(words))

    def domains(self) -> set[str]:
        """Names of running domains."""
        return set(self.virsh("list --name").split())

    def networks(self) -> set[str]:
        """Names of active networks."""
        return set(self.virsh("net-list --name").split())


@contextmanager
def lost_guests_decide_nothing(host: RealHost) -> Iterator[None]:
    """What fails inside is the environment's where a guest that ran at the beginning is gone.

    Raises UndecidedError then.
    """
    before = host.domains()
    try:
        yield
    except AssertionError as error:
        lost = before - host.domains()
        if not lost:
            raise
        raise UndecidedError(f"guests were lost: {', '.join(sorted(lost))}: {error}") from error


def run_until_decided(
    topology: Path, directory: Path, *options: str, env: dict[str, str] | None = None
) -> tuple[Done, Path]:
    """`lab run`, again while the host was too disturbed to say anything. Returns the last run and its recording.

    Raises UndecidedError where no run has decided anything: that is not a failed test.
    """
    for attempt in range(1, DECIDING_RUNS + 1):
        recording = directory / f"recording-{attempt}"
        done = call("run", topology, "--record", recording, *options, env=env)
        if done.status != 5:
            return done, recording
    raise UndecidedError(f"lab run {topology.name}: {DECIDING_RUNS} runs undecided\n{done.out}{done.err}")
