# SPDX-License-Identifier: GPL-2.0-only
"""Ctrl-C, SIGTERM and SIGHUP: the first ends the command in order, further ones must not disturb that."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Turns signals into one KeyboardInterrupt. While held back, they are remembered until the end of that.

    `tell` is given a line for whoever keeps pressing Ctrl-C.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._raised = False
        self._depth = 0
        self._pending = False

    def install(self) -> None:
        """Take the signals over; only the main thread of a process may."""
        for number in _SIGNALS:
            # A command started by nohup ignores SIGHUP, and should go on doing so.
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._raised or self._depth:
            self._pending = True
            self._tell(
                f"lab: still ending what was started (process {os.getpid()}); "
                "should that hang, kill it and run `lab gc`"
            )
            return
        self._raised = True
        raise KeyboardInterrupt

    @contextmanager
    def held(self) -> Iterator[None]:
        """Whatever happens inside is not interrupted; an interrupt that came meanwhile is raised at the end."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
        if self._pending and not self._depth and not self._raised:
            self._raised = True
            raise KeyboardInterrupt
