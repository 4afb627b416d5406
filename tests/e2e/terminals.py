# SPDX-License-Identifier: GPL-2.0-only
"""A real terminal of a given size, by tmux: what is typed into it, and what stands on it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from e2e_lab import ROOT


class Terminal:
    """One tmux server of its own with one window, in which a shell runs."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def tmux(self, *words: str) -> str:
        """What tmux says."""
        done = subprocess.run(
            ["tmux", "-S", str(self._socket), *words], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"tmux {' '.join(words)}: {done.stderr}"
        return done.stdout

    def type(self, *keys: str) -> None:
        """Keys by tmux's names, one after the other."""
        self.tmux("send-keys", *keys)

    def resize(self, columns: int, rows: int) -> None:
        """As if its window was dragged."""
        self.tmux("resize-window", "-x", str(columns), "-y", str(rows))

    @property
    def screen(self) -> str:
        """What stands on it."""
        return self.tmux("capture-pane", "-p")

    def wait(self, what: str, seen: Callable[[str], bool], timeout_s: float = 60) -> str:
        """The first screen that is as expected."""
        deadline = time.monotonic() + timeout_s
        while not seen(screen := self.screen):
            assert time.monotonic() < deadline, f"no {what} within {timeout_s} s; the screen:\n{screen}"
            time.sleep(0.3)
        return screen

    def wait_for(self, text: str, timeout_s: float = 60) -> str:
        """The first screen that has `text`."""
        return self.wait(repr(text), lambda screen: text in screen, timeout_s)


@contextmanager
def open_terminal(directory: Path, columns: int = 80, rows: int = 24) -> Iterator[Terminal]:
    """A terminal with a shell whose prompt is ``$ ``."""
    terminal = Terminal(directory / "tmux")
    size = ("-x", str(columns), "-y", str(rows))
    start = [
        "-f",
        "/dev/null",
        "new-session",
        "-d",
        *size,
        "-c",
        str(ROOT),
        "env",
        "PS1=$ ",
        "bash",
        "--norc",
    ]
    terminal.tmux(*start)
    try:
        yield terminal
    finally:
        terminal.tmux("kill-server")


def cpu_seconds(name: str) -> float:
    """What processes whose command line has `name` have run so far, their threads and ended children included."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if name in (stat.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"):
                total += sum(map(int, stat.read_text().rpartition(")")[2].split()[11:15]))
        except OSError:
            continue
    return total / os.sysconf("SC_CLK_TCK")
