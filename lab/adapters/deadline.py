# SPDX-License-Identifier: GPL-2.0-only
"""Calls into foreign code that may never come back, such as a library's that waits for a machine that hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from lab.errors import HostLost

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class _Call:
    """One call in a thread of its own, which does not keep the process from ending."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call
        self._claim = threading.Lock()
        self._done = threading.Event()
        self.result: object = None
        self.error: BaseException | None = None

    def _run(self) -> None:
        if not self._claim.acquire(blocking=False):
            return
        try:
            self.result = self._call()
        except BaseException as error:  # whatever it is, it belongs to whoever called
            self.error = error
        self._done.set()

    def wait(self, timeout_s: float) -> bool:
        """Begin it; whether it came back. Ctrl-C is raised only then: what is half done cannot be cleaned up."""
        until = time.monotonic() + timeout_s
        interrupt: KeyboardInterrupt | None = None
        while True:
            try:
                # Once more where Ctrl-C came in between: only the first one that runs makes the call.
                if not self._claim.locked():
                    threading.Thread(target=self._run, daemon=True).start()
                came_back = self._done.wait(max(0.0, until - time.monotonic()))
                break
            except KeyboardInterrupt as error:
                interrupt = error
        if interrupt is not None:
            raise interrupt
        return came_back


def within(timeout_s: float, what: str, call: Callable[[], T]) -> T:
    """What `call` returns or raises. Raises HostLost where it does not come back; its thread is then left alone."""
    running = _Call(call)
    if not running.wait(timeout_s):
        raise HostLost(f"{what}: no answer within {timeout_s:g} s")
    if running.error is not None:
        raise running.error
    return running.result  # type: ignore[return-value]


def bounded(timeout_s: float) -> Callable[[F], F]:
    """A method of something with a `uri` that raises HostLost where it takes longer than `timeout_s`."""

    def bind(method: F) -> F:
        @wraps(method)
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            what = f"libvirt at {self.uri}: {method.__name__.replace('_', ' ')}"
            return within(timeout_s, what, lambda: method(self, *args, **kwargs))

        return cast(F, call)

    return bind
