# SPDX-License-Identifier: GPL-2.0-only
"""Fakes of the ports, passed in where a test must not touch the outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lab.errors import CommandFailed

Answer = str | Exception | Callable[[Sequence[str]], str]


class FakeCommands:
    """Commands that never run. `answers` maps a program's name to its output, to the error it ends with, or to
    a function of the whole command that does what the program would do and returns its output.

    A command without an answer is a mistake of the test. `calls` has every command in order.
    """

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self.calls: list[list[str]] = []
        self._answers = answers

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        what: str,
        log: Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float,
        watch: Callable[[], None] | None = None,
    ) -> None:
        with log.open("a") as sink:
            sink.write(self._answer(argv))
        if watch:
            watch()

    def output(
        self,
        argv: Sequence[str | Path],
        *,
        what: str,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float = 60,
    ) -> str:
        return self._answer(argv)

    def count(self, program: str) -> int:
        """How often a program was run."""
        return sum(Path(call[0]).name == program for call in self.calls)

    def _answer(self, argv: Sequence[str | Path]) -> str:
        words = [str(word) for word in argv]
        self.calls.append(words)
        program = Path(words[0]).name
        if program not in self._answers:
            raise AssertionError(f"the test has no answer for: {' '.join(words)}")
        answer = self._answers[program]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, str) else answer(words)


def failing(message: str) -> Answer:
    """The answer of a program that fails."""
    return CommandFailed(message)


class RecordedProgress:
    """A Progress that remembers what it was told."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.updates: list[tuple[float | None, str]] = []

    def step(self, what: str) -> None:
        self.steps.append(what)

    def update(self, done: float | None, text: str) -> None:
        self.updates.append((done, text))
