# SPDX-License-Identifier: GPL-2.0-only
"""A lock that threads get in the order in which they ask for it.

With an ordinary one, whoever lets virtual time pass gets it again and again, and time runs away from all others.
"""

from __future__ import annotations

import threading
from collections import deque
from types import TracebackType


class FairLock:
    """May be taken by its holder again, like threading.RLock."""

    def __init__(self) -> None:
        self._state = threading.Lock()
        self._queue: deque[threading.Event] = deque()
        self._holder: int | None = None
        self._depth = 0

    def __enter__(self) -> FairLock:
        me = threading.get_ident()
        with self._state:
            if self._holder in (None, me):
                self._holder = me
                self._depth += 1
                return self
            turn = threading.Event()
            self._queue.append(turn)
        turn.wait()  # the holder before hands it over: it is never free between
        self._holder = me
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._state:
            self._depth -= 1
            if self._depth:
                return
            if self._queue:
                self._holder, self._depth = 0, 1  # nobody's, but taken
                self._queue.popleft().set()
            else:
                self._holder = None
