# SPDX-License-Identifier: GPL-2.0-only
"""Commands that run side by side, one for each node: every line of theirs printed as it comes, after its name."""

from __future__ import annotations

import os
import selectors
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO

from lab.errors import HostError

#: Commands at the same time. Most of them are connections of ssh through one host, whose sshd refuses some where
#: many are not yet let in (sshd_config(5), MaxStartups 10:30:100).
AT_ONCE = 8
_CHUNK_BYTES = 64 * 1024
_GRACE_S = 5


@dataclass(frozen=True)
class Labelled:
    """A command, what stands before each line of its output, and what becomes of the line itself."""

    label: str
    argv: Sequence[str]
    translate: Callable[[bytes], bytes] = bytes


def run_side_by_side(
    commands: Sequence[Labelled], out: BinaryIO, err: BinaryIO, at_once: int = AT_ONCE
) -> tuple[int, ...]:
    """Run all, at most `at_once` at a time and without standard input; their exit codes, in order.

    A line without an end is ended. Whatever still runs when this is left early is terminated. Raises HostError
    where a program is not installed.
    """
    width = max((len(one.label) for one in commands), default=0)
    running: dict[int, _Child] = {}
    codes: dict[int, int] = {}
    waiting = list(enumerate(commands))
    with selectors.DefaultSelector() as selector, _all_ended(running):
        while waiting or running:
            while waiting and len(running) < at_once:
                place, one = waiting.pop(0)
                running[place] = _start(one, width, (out, err), selector)
            for key, _ in selector.select():
                _pass_on(key, selector)
            for place in [place for place, child in running.items() if child.is_over(selector)]:
                codes[place] = _code(running.pop(place).process.wait())
    return tuple(codes[place] for place in range(len(commands)))


@dataclass
class _Lines:
    """One pipe of a child; `rest` is a line of which the end has not come yet."""

    prefix: bytes
    sink: BinaryIO
    translate: Callable[[bytes], bytes]
    rest: bytes = field(default=b"")

    def feed(self, data: bytes) -> None:
        *whole, self.rest = (self.rest + data).split(b"\n")
        if not data and self.rest:
            whole, self.rest = [self.rest], b""
        if whole:
            self.sink.write(b"".join(self.prefix + self.translate(line) + b"\n" for line in whole))
            self.sink.flush()


@dataclass(frozen=True)
class _Child:
    process: subprocess.Popen[bytes]
    pipes: tuple[int, ...]

    def is_over(self, selector: selectors.BaseSelector) -> bool:
        return not any(pipe in selector.get_map() for pipe in self.pipes)


def _start(
    command: Labelled, width: int, sinks: tuple[BinaryIO, BinaryIO], selector: selectors.BaseSelector
) -> _Child:
    prefix = f"{command.label:<{width}} | ".encode() if width else b""
    process = start(command.argv)
    pipes = (process.stdout, process.stderr)
    for pipe, sink in zip(pipes, sinks, strict=True):
        assert pipe is not None
        selector.register(pipe.fileno(), selectors.EVENT_READ, _Lines(prefix, sink, command.translate))
    return _Child(process, tuple(pipe.fileno() for pipe in pipes if pipe is not None))


def start(argv: Sequence[str]) -> subprocess.Popen[bytes]:
    """A child with pipes for its output and no input. Raises HostError where its program is not installed."""
    try:
        return subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
        )
    except FileNotFoundError:
        raise HostError(f"{argv[0]} is not installed", "apt-get install openssh-client") from None


def _pass_on(key: selectors.SelectorKey, selector: selectors.BaseSelector) -> None:
    data = os.read(key.fd, _CHUNK_BYTES)
    key.data.feed(data)
    if not data:
        selector.unregister(key.fileobj)


@contextmanager
def _all_ended(running: dict[int, _Child]) -> Iterator[None]:
    try:
        yield
    finally:
        for child in running.values():
            child.process.terminate()
        for child in running.values():
            try:
                child.process.wait(_GRACE_S)
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()


def _code(status: int) -> int:
    """As a shell tells it: 128 + N where signal N ended it."""
    return 128 - status if status < 0 else status
