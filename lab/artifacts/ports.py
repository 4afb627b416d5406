# SPDX-License-Identifier: GPL-2.0-only
"""What building needs from outside: commands to run, and somebody to tell how far it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

Arguments = Sequence[str | Path]


class Commands(Protocol):
    """Runs programs of this machine to their end."""

    def run(
        self,
        argv: Arguments,
        *,
        what: str,
        log: Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float,
        watch: Callable[[], None] | None = None,
    ) -> None:
        """Run `argv`, appending the command and all of its output to `log`.

        `env` comes on top of a fixed base. `watch` is called about once a second meanwhile. Raises
        CommandFailed, whose message has `what`, a copy-pasteable command, the exit status and the output's
        tail; HostError where the program is not installed.
        """

    def output(
        self,
        argv: Arguments,
        *,
        what: str,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float = 60,
    ) -> str:
        """What `argv` writes to its standard output. Raises as `run` does."""


class Progress(Protocol):
    """Is told what is being done, for people to read."""

    def step(self, what: str) -> None:
        """A piece of work begins."""

    def update(self, done: float | None, text: str) -> None:
        """How far it is: `done` from 0 to 1, None where the end is unknown."""


class Silence:
    """A Progress that tells nobody."""

    def step(self, what: str) -> None:
        """Ignore it."""

    def update(self, done: float | None, text: str) -> None:
        """Ignore it."""
